// Version, and the text of each thread's last error.
// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>

#include "capi/check.h"

namespace varlstm {
namespace {

thread_local char last_error[512];

struct BuildInfo {
  char text[256];
  BuildInfo() {
    const Backend* cuda = cuda_backend();
    snprintf(text, sizeof text, "libvarlstm %d.%d.%d, back ends: %s%s%s", VARLSTM_VERSION_MAJOR, VARLSTM_VERSION_MINOR,
             VARLSTM_VERSION_PATCH, host_backend()->name, cuda ? ", " : "", cuda ? cuda->name : "");
  }
};

}  // namespace

int32_t set_error(int32_t status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace varlstm

int32_t varlstm_version(void) {
  return 10000 * VARLSTM_VERSION_MAJOR + 100 * VARLSTM_VERSION_MINOR + VARLSTM_VERSION_PATCH;
}

const char* varlstm_build_info(void) {
  static const varlstm::BuildInfo info;
  return info.text;
}

const char* varlstm_status_name(int32_t status) {
  switch (status) {
    case VARLSTM_OK:
      return "VARLSTM_OK";
    case VARLSTM_ERROR_INVALID_ARGUMENT:
      return "VARLSTM_ERROR_INVALID_ARGUMENT";
    case VARLSTM_ERROR_UNSUPPORTED:
      return "VARLSTM_ERROR_UNSUPPORTED";
    case VARLSTM_ERROR_OUT_OF_MEMORY:
      return "VARLSTM_ERROR_OUT_OF_MEMORY";
    case VARLSTM_ERROR_BUFFER_TOO_SMALL:
      return "VARLSTM_ERROR_BUFFER_TOO_SMALL";
    case VARLSTM_ERROR_INVALID_HANDLE:
      return "VARLSTM_ERROR_INVALID_HANDLE";
    case VARLSTM_ERROR_BACKEND:
      return "VARLSTM_ERROR_BACKEND";
    case VARLSTM_ERROR_DEAD_CONTEXT:
      return "VARLSTM_ERROR_DEAD_CONTEXT";
    case VARLSTM_ERROR_INTERNAL:
      return "VARLSTM_ERROR_INTERNAL";
    default:
      return "unknown status";
  }
}

const char* varlstm_last_error(void) {
  return varlstm::last_error;
}
