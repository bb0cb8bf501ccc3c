"""The log doctor: what is wrong with recordings, and in which rows, before anything is fitted."""

from sim2real.doctor.diagnose import diagnose
from sim2real.doctor.expected import Expected, expected_of
from sim2real.doctor.finding import BAD_DATA, USABLE, Diagnosis, Finding
from sim2real.doctor.screening import ScreenedRecordings, screen_recordings
from sim2real.doctor.summary import verdict_sentence

__all__ = [
    "BAD_DATA",
    "USABLE",
    "Diagnosis",
    "Expected",
    "Finding",
    "ScreenedRecordings",
    "diagnose",
    "expected_of",
    "screen_recordings",
    "verdict_sentence",
]
