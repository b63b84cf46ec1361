# SPDX-License-Identifier: Apache-2.0
"""What the machine code of the resident kernels says of a step, without a GPU. README.md beside this file."""
