# Usage: cmake -DHEADER=varlstm.h -DOUTPUT=example.c -P capi_extract_example.cmake
# Writes the program that stands in the header's opening comment between EXAMPLE and END OF EXAMPLE.
# SPDX-License-Identifier: Apache-2.0
file(READ ${HEADER} text)
string(FIND "${text}" "\n *   #include <stdio.h>" begin)
string(FIND "${text}" "\n * END OF EXAMPLE" end)
if(begin EQUAL -1 OR end LESS begin)
  message(FATAL_ERROR "${HEADER} has no example")
endif()
math(EXPR length "${end} - ${begin}")
string(SUBSTRING "${text}" ${begin} ${length} program)
string(REGEX REPLACE "\n \\*   " "\n" program "${program}")
string(REGEX REPLACE "\n \\*" "\n" program "${program}")
file(WRITE ${OUTPUT} "${program}\n")
