"""Stable Diffusion's decoder by kernels of our own: the same picture, as far as a gate can tell, in less time.

choice.py       the way in: `fast_decoder` picks what may be computed in eight bits, and proves it
decoder.py      the network, made of operations
layers.py       its convolutions as a table, and what their inputs reach
formats.py      float16 and eight bits: a convolution's weights and inputs as codes
gate.py         whether two decoders draw the same pictures
mixture.py      which layers may read eight bits
reference.py    the operations, said in plain torch
launch.py       the operations on a GPU; triton_kernels.py: their kernels
tiles.py        how much of a convolution one program computes; hopper_tiles.py: what was measured
"""
