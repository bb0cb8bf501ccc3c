"use strict";
// Curves in panels above each other: drag across to zoom, double-click or 0 for all, + and −, arrows to move.
const GAP = 26, LEFT = 56, RIGHT = 14, TOP = 20, BOTTOM = 26, GONE = -(2 ** 31);
const make = (tag, parent, set) => parent.appendChild(Object.assign(document.createElement(tag), set));
const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

class Chart {
  constructor(box) {
    this.data = JSON.parse(box.firstElementChild.textContent);
    this.shown = this.data.series.map(() => true);
    this.panels = this.data.panels.map((_, k) => k);
    this.high = this.panels.length > 1 ? 100 : 150;
    this.kept = new Map();
    this.view = [0, 1];
    this.controls(make("div", box, { className: "controls" }));
    this.canvas = make("canvas", box, { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.data.series.map(s => s.name).join(", "));
    make("p", box, { className: "note hint", textContent: "Drag across to zoom in, double-click for all; or +, −, 0 and arrows."
      + (this.data.every > 1 ? ` Every ${this.data.every} rows one is shown.` : "") });
    this.pointers();
    new ResizeObserver(() => this.draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.show(this.data.start);
  }

  controls(bar) {
    const { takes, panels, series, reference } = this.data;
    const choice = (names, label, change) => {
      const select = make("select", bar, { onchange: () => change(+select.value) });
      select.setAttribute("aria-label", label);
      names.forEach((name, k) => select.add(new Option(name, k)));
      return select;
    };
    if (takes.length > 1) this.takes = choice(takes.map(t => t.name), "recording", k => this.show(k));
    if (panels.length > 2) choice(["all", ...panels], "joint", k => {
      this.panels = k ? [k - 1] : panels.map((_, i) => i); this.high = k ? 300 : 100; this.draw();
    });
    const box = (text, on, change, colour) => {
      const label = make("label", bar, {}), input = make("input", label, { type: "checkbox", checked: on });
      input.onchange = () => { change(input.checked); this.draw(); };
      if (colour) make("i", label, {}).style.setProperty("--c", `var(--${colour})`);
      label.append(text);
    };
    series.forEach((s, k) => box(s.name, true, on => { this.shown[k] = on; }, s.colour));
    if (reference) box(`less ${reference}`, false, on => { this.less = on; });
    for (const [text, label, act] of [["+", "zoom in", () => this.zoom(.6)], ["−", "zoom out", () => this.zoom(1 / .6)],
      ["all", "show all", () => this.whole()]]) make("button", bar, { type: "button", textContent: text, ariaLabel: label, onclick: act });
  }

  async take(k) {
    if (this.kept.has(k)) return this.kept.get(k);
    const { rows, first, data } = this.data.takes[k], [dx, dy] = this.data.quantum, n = this.data.panels.length;
    const packed = new Blob([Uint8Array.from(atob(data), c => c.charCodeAt(0))]);
    const deltas = new Int32Array(await new Response(packed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
    const columns = Array.from({ length: deltas.length / rows }, (_, c) => {
      const column = new Float64Array(rows);
      for (let i = 0, sum = 0; i < rows; i++) {
        sum = (sum + deltas[c * rows + i]) | 0;
        column[i] = c ? sum === GONE ? NaN : sum * dy : first + sum * dx;
      }
      return column;
    });
    this.kept.set(k, { x: columns[0], y: this.data.series.map((_, s) => columns.slice(1 + s * n, 1 + (s + 1) * n)) });
    return this.kept.get(k);
  }

  async show(k) {
    this.now = await this.take(k); this.shaded = this.data.takes[k].shaded;
    if (this.takes) this.takes.value = k;
    this.whole();
  }

  get ends() { return [this.now.x[0], this.now.x[this.now.x.length - 1]]; }
  whole() { this.view = this.ends; this.draw(); }
  zoom(by, at = (this.view[0] + this.view[1]) / 2) { this.look(this.view.map(v => at + (v - at) * by)); }
  look([a, b]) {
    const [low, high] = this.ends, wide = Math.min(b - a, high - low);
    const from = Math.max(low, Math.min(a, high - wide));
    this.view = [from, from + wide]; this.draw();
  }

  pointers() {
    const c = this.canvas, inside = e => Math.min(Math.max(e.offsetX, LEFT), c.clientWidth - RIGHT);
    const time = px => this.view[0] + (px - LEFT) / (c.clientWidth - LEFT - RIGHT) * (this.view[1] - this.view[0]);
    c.ondblclick = () => this.whole();
    c.onpointerdown = e => { this.drag = [inside(e), inside(e)]; c.setPointerCapture(e.pointerId); };
    c.onpointermove = e => { if (this.drag) this.drag[1] = inside(e); this.pointer = time(inside(e)); this.draw(); };
    c.onpointercancel = () => { this.drag = null; this.draw(); };
    c.onpointerup = () => {
      const ends = this.drag; this.drag = null;
      if (ends && Math.abs(ends[1] - ends[0]) > 6) this.look(ends.map(time).sort((a, b) => a - b)); else this.draw();
    };
    c.onpointerleave = () => { this.pointer = undefined; this.draw(); };
    c.onkeydown = e => {
      const step = .2 * (this.view[1] - this.view[0]), move = by => this.look(this.view.map(v => v + by));
      const act = { "+": () => this.zoom(.6), "-": () => this.zoom(1 / .6), 0: () => this.whole(),
        ArrowLeft: () => move(-step), ArrowRight: () => move(step) }[e.key];
      if (act) { e.preventDefault(); act(); }
    };
  }

  draw() {
    if (!this.now) return;
    const c = this.canvas, w = c.clientWidth, h = this.panels.length * (this.high + GAP) + BOTTOM, ratio = devicePixelRatio || 1;
    if (!w) return;
    c.style.height = `${h}px`; c.width = w * ratio; c.height = h * ratio;
    const g = this.g = c.getContext("2d");
    g.scale(ratio, ratio); g.font = "12px system-ui, sans-serif"; g.lineJoin = "round";
    const [a, b] = this.view, x = t => LEFT + (t - a) / (b - a || 1) * (w - LEFT - RIGHT), times = ticks(a, b, w / 110);
    this.panels.forEach((panel, k) => this.panel(panel, k * (this.high + GAP) + TOP, x, times, w));
    g.fillStyle = css("faint"); g.textAlign = "center";
    for (const t of times) g.fillText(`${t} ${this.data.unit}`, x(t), h - 8);
    if (this.drag) { g.globalAlpha = .15; g.fillStyle = css("accent"); g.fillRect(this.drag[0], 0, this.drag[1] - this.drag[0], h - BOTTOM); g.globalAlpha = 1; }
  }

  panel(p, top, x, times, w) {
    const g = this.g, series = this.data.series, t = this.now.x, under = series.findIndex(s => s.name === this.data.reference);
    const at = time => { let i = 0, j = t.length - 1; while (i < j) { const m = (i + j) >> 1; if (t[m] < time) i = m + 1; else j = m; } return i; };
    const first = Math.max(0, at(this.view[0]) - 1), last = Math.min(t.length - 1, at(this.view[1]) + 1);
    const value = (s, i) => this.now.y[s][p][i] - (this.less ? this.now.y[under][p][i] : 0);
    const drawn = series.map((_, s) => s).filter(s => this.shown[s] && !(this.less && s === under));
    let low = Infinity, high = -Infinity;
    for (const s of drawn) for (let i = first; i <= last; i++) { const v = value(s, i); if (v < low) low = v; if (v > high) high = v; }
    if (!(high > low)) { const v = Number.isFinite(low) ? low : 0; low = v - .01; high = v + .01; }
    const pad = .08 * (high - low), bottom = top + this.high, y = v => bottom - (v - low + pad) / (high - low + 2 * pad) * this.high;
    g.strokeStyle = css("grid"); g.lineWidth = 1; g.fillStyle = css("faint"); g.textAlign = "right"; g.beginPath();
    for (const v of ticks(low - pad, high + pad, this.high / 24)) { g.moveTo(LEFT, y(v)); g.lineTo(w - RIGHT, y(v)); g.fillText(v, LEFT - 6, y(v) + 4); }
    for (const v of times) { g.moveTo(x(v), top); g.lineTo(x(v), bottom); }
    g.stroke(); g.save(); g.beginPath(); g.rect(LEFT, top, w - LEFT - RIGHT, this.high); g.clip();
    g.fillStyle = css("shade");
    for (const [a, b] of this.shaded) g.fillRect(x(a), top, Math.max(2, x(b) - x(a)), this.high);
    for (const s of [...drawn].reverse()) {
      g.strokeStyle = css(series[s].colour); g.lineWidth = s ? 1.3 : 1.9; g.beginPath();
      for (let i = first, on = false; i <= last; i++) {
        const v = value(s, i);
        if (!Number.isFinite(v)) { on = false; continue; }
        if (on && series[s].held) g.lineTo(x(t[i]), y(value(s, i - 1)));
        g[on ? "lineTo" : "moveTo"](x(t[i]), y(v)); on = true;
        if (i === last || !Number.isFinite(value(s, i + 1))) g.lineTo(x(t[i]) + .5, y(v));
      }
      g.stroke();
    }
    g.restore(); g.textAlign = "left"; g.fillStyle = css("ink"); g.font = "600 12px system-ui, sans-serif";
    g.fillText(this.data.panels[p], LEFT, top - 6); g.font = "12px system-ui, sans-serif";
    if (this.pointer === undefined) return;
    const i = at(this.pointer); let right = w - RIGHT; g.textAlign = "right";
    g.fillStyle = css("faint"); g.fillRect(x(t[i]), top, 1, this.high);
    for (const s of drawn) {
      const text = `${series[s].name} ${value(s, i).toPrecision(4)}`;
      g.fillStyle = css(series[s].colour); g.fillText(text, right, top - 6); right -= g.measureText(text).width + 14;
    }
  }
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(1, most), power = 10 ** Math.floor(Math.log10(raw)), found = [];
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw * (1 - 1e-9));
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(+(k * step).toPrecision(6));
  return found;
}

// A printed page has its own width and colours, and nothing folded.
const folded = () => document.querySelectorAll("details");
addEventListener("beforeprint", () => folded().forEach(one => { one.shut = !one.open; one.open = true; }));
addEventListener("afterprint", () => folded().forEach(one => { one.open &&= !one.shut; }));
matchMedia("print").addEventListener("change", () => charts.forEach(chart => chart.draw()));

const charts = [...document.querySelectorAll(".chart")].map(box => new Chart(box));
for (const button of document.querySelectorAll("[data-take]")) button.onclick = () => {
  charts[0].show(+button.dataset.take); charts[0].canvas.scrollIntoView({ block: "center" });
};
