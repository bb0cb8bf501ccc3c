"""How far two engines agree about one world: `measure` compares, `report` shows."""
