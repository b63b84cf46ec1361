// The environment variables of libvarlstm and the functions that read them. A variable that is not set, or empty,
// changes nothing. An unknown value makes varlstm_ctx_create fail with a text that lists the known ones; if it is set
// later, it counts as not set.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace varlstm {

struct EnvironmentVariable {
  const char* name;
  const char* values;  // the known values, separated by spaces; "number" for whole numbers from 1; null for any text
};

// capi/README.md documents what each variable does.
constexpr EnvironmentVariable kHostIsaVariable = {"VARLSTM_HOST_ISA", "baseline avx2 avx512"};
constexpr EnvironmentVariable kLossChunkVariable = {"VARLSTM_LOSS_CHUNK", "number"};
constexpr EnvironmentVariable kRecurrencePolicyVariable = {"VARLSTM_RECURRENCE_POLICY", "auto stepwise cluster grid"};
constexpr EnvironmentVariable kRecurrenceSlotsVariable = {"VARLSTM_RECURRENCE_SLOTS", "number"};
constexpr EnvironmentVariable kGemmPolicyVariable = {"VARLSTM_GEMM_POLICY", "flat wide tensor wgmma cublas"};
constexpr EnvironmentVariable kRowPolicyVariable = {"VARLSTM_ROW_POLICY", "lanes8 warp block"};
constexpr EnvironmentVariable kPrintPolicyVariable = {"VARLSTM_PRINT_POLICY", "0 1"};
constexpr EnvironmentVariable kCublasLibraryVariable = {"VARLSTM_CUBLAS_LIBRARY", nullptr};
constexpr EnvironmentVariable kEnvironmentVariables[] = {
    kHostIsaVariable,    kLossChunkVariable, kRecurrencePolicyVariable, kRecurrenceSlotsVariable,
    kGemmPolicyVariable, kRowPolicyVariable, kPrintPolicyVariable,      kCublasLibraryVariable};

inline bool takes_number(const EnvironmentVariable& variable) {
  return variable.values != nullptr && strcmp(variable.values, "number") == 0;
}

// The whole number from 1 to INT64_MAX that the text is, or 0 if it is none.
inline int64_t positive_number(const char* text) {
  if (*text < '0' || *text > '9') return 0;
  char* end = nullptr;
  errno = 0;
  const long long number = strtoll(text, &end, 10);
  return *end == 0 && errno == 0 ? number : 0;
}

inline bool is_known(const EnvironmentVariable& variable, const char* value) {
  if (variable.values == nullptr) return true;
  if (takes_number(variable)) return positive_number(value) > 0;
  if (*value == 0 || strchr(value, ' ') != nullptr) return false;
  const size_t length = strlen(value);
  for (const char* at = strstr(variable.values, value); at != nullptr; at = strstr(at + 1, value)) {
    const bool begins = at == variable.values || at[-1] == ' ';
    if (begins && (at[length] == 0 || at[length] == ' ')) return true;
  }
  return false;
}

// The value of a variable; null if it is not set, empty or unknown.
inline const char* environment(const EnvironmentVariable& variable) {
  const char* value = getenv(variable.name);
  return value != nullptr && *value != 0 && is_known(variable, value) ? value : nullptr;
}

// The first variable whose value is unknown; null if there is none.
inline const EnvironmentVariable* unknown_environment() {
  for (const EnvironmentVariable& variable : kEnvironmentVariables) {
    const char* value = getenv(variable.name);
    if (value != nullptr && *value != 0 && !is_known(variable, value)) return &variable;
  }
  return nullptr;
}

}  // namespace varlstm
