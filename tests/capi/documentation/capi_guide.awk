# awk -v part=program|fragments -f capi_guide.awk capi/README.md
# The C++ blocks of the guide: the one that is a whole program, or the fragments, each as a test in capi_guide_frame.h.
# SPDX-License-Identifier: Apache-2.0
BEGIN {
  if (part == "fragments") print "#include \"capi_guide_frame.h\"\n\nnamespace varlstm_test {\n"
}
/^```cpp$/ {
  inside = 1
  line = NR + 1
  text = ""
  next
}
/^```$/ && inside {
  inside = 0
  is_program = text ~ /int main\(/
  if (part == "program" && is_program) printf "%s", text
  if (part == "fragments" && !is_program)
    printf "TEST_F(CapiGuide, Line%d) {\n#line %d \"capi/README.md\"\n%s}\n\n", line, line, text
  next
}
inside { text = text $0 "\n" }
END {
  if (part == "fragments") print "}  // namespace varlstm_test"
}
