"""`python -m peer_local doctor`: what this machine has and lacks for a call, and the next step for each.

    settings ─┬─► system    Python, processor, memory, GPU, weights
              ├─► devices   cameras, microphones, the call's sound      ─► Findings ─► table or JSON
              └─► network   service, token, performer, clock, ICE, UDP

Checks ask the machine only through `Machine` (machine.py), so that each verdict of each system is tested anywhere.
"""

from peer_local.doctor.program import examine

__all__ = ["examine"]
