"""The phases of the volumes that tests export."""

from vaereg.materials import TwoPhase

PAIR = TwoPhase.from_moduli(e_stiff=70.0, e_soft=3.5, nu_stiff=0.2, nu_soft=0.35)
