# SPDX-License-Identifier: Apache-2.0
"""Planted defects of how the CUDA back end treats the CUDA runtime: errors, devices, loading, captures, libraries."""
from defect import Defect

STATUS = "kernels/core/status.cc"
MEMORY = "kernels/backend_memory.cc"
CONTEXT = "kernels/core/current_context.cc"
BLAS = "kernels/gemm/blas_handles.cc"
SELECTION = "kernels/selection/gemm_selection.h"
FACTS = "kernels/core/device_facts.cu"
T = "runtime_fault_test --gtest_filter="

DEFECTS = [
    # The runtime's last error.
    Defect("failed-calls-leave-the-last-error", STATUS, "  (void)cudaGetLastError();\n#if", "#if",
           [T + "LastError.AfterAFailedAllocation*"],
           why="CUB returns an old failure from the next sort"),
    Defect("ignored-failures-leave-the-last-error", STATUS, "  if (error != cudaSuccess) (void)cudaGetLastError();\n",
           "  (void)error;\n", [T + "LastError.CountingNoDevices*"]),
    Defect("device-count-keeps-the-last-error", MEMORY, "  ignore_failure(error);\n  if (error != cudaSuccess && !none)",
           "  if (error != cudaSuccess && !none)", [T + "LastError.CountingNoDevices*"]),
    Defect("sorts-take-a-foreign-error", "kernels/sort/sort.cu",
           "  forget_last_error();\n  return check_runtime(simt::enqueue_cub_work(",
           "  return check_runtime(simt::enqueue_cub_work(", [T + "LastError.ThatSomebodyElse*"]),
    # Errors after which a device answers nothing else.
    *(Defect(f"error-{number}-is-not-sticky", STATUS, f"    case {number}:  //", f"    case {number + 5000}:  //",
             [T + "StickyErrors.*"]) for number in (220, 226, 721, 810)),
    # The caller's context.
    Defect("callers-context-is-not-restored", "capi/check.h", "backend_.leave_device(previous_);", "(void)previous_;",
           [T + "CallersDevice.IsCurrentAgainAfterEveryCall"]),
    Defect("callers-device-is-chosen-anew", CONTEXT, "  *previous = current;\n",
           "  int device_before = 0;\n  VARLSTM_CUDA_TRY(check_runtime(cudaGetDevice(&device_before), \"cudaGetDevice\"));\n"
           "  *previous = reinterpret_cast<void*>(static_cast<intptr_t>(device_before));\n",
           [T + "CallersDevice.GetsNoContext*"], why="a device that nobody uses loses memory to a context",
           also=((CONTEXT, "(void)driver().set_current(static_cast<CUcontext>(previous));",
                  "(void)cudaSetDevice(static_cast<int>(reinterpret_cast<intptr_t>(previous)));"),)),
    Defect("calls-stay-on-the-callers-device", CONTEXT, 'check_runtime(cudaSetDevice(device), "cudaSetDevice")',
           "(void(device), VARLSTM_OK)", [T + "CallersDevice.AContextOfTheOther*"]),
    Defect("device-is-left-after-a-failed-entry", "capi/check.h", "if (status_ == VARLSTM_OK && backend_.leave_device",
           "if (backend_.leave_device", [T + "CallersDevice.IsCurrentAgainAfterAFailedCall*"],
           why="a call that could not ask for the caller's context leaves the thread without one"),
    # Loading before the first call.
    Defect("kernels-are-loaded-when-they-are-used", MEMORY,
           "  VARLSTM_CUDA_TRY(load_kernels(state->facts.shared_bytes, state->facts.capability >= 90));\n", "",
           [T + "*FirstCall.*"]),
    Defect("sorts-are-loaded-when-they-are-used", MEMORY, "  VARLSTM_CUDA_TRY(load_sort({state, nullptr}));\n", "",
           [T + "FirstSort.*"]),
    # What finalisers do while a stream is captured.
    Defect("frees-end-a-capture", MEMORY, "  const RelaxedCapture relaxed;\n  return check_runtime(cudaFree(ptr)",
           "  return check_runtime(cudaFree(ptr)", [T + "Finalisers.*"]),
    Defect("contexts-end-a-capture", MEMORY, "  const RelaxedCapture relaxed;\n  State* state = cuda_state(base);\n",
           "  State* state = cuda_state(base);\n", [T + "Finalisers.*"]),
    Defect("mode-of-the-thread-stays-relaxed", "kernels/core/capture_mode.h",
           "if (is_relaxed_) ignore_failure(cudaThreadExchangeStreamCaptureMode(&mode_));", "(void)is_relaxed_;",
           [T + "Finalisers.LeaveTheThreadsMode*"]),
    # cuBLAS.
    Defect("contexts-close-cublas", MEMORY, "give_back_blas(state->blas);", "close_blas(state->blas);",
           [T + "Finalisers.*"]),
    Defect("cublas-handles-have-two-contexts", BLAS, "place->handle != nullptr && !place->taken && place->device == device",
           "place->handle != nullptr && place->device == device", [T + "BlasHandles.*"],
           why="two contexts set the stream of one handle"),
    Defect("cublas-handles-of-another-device", BLAS, "!place->taken && place->device == device", "!place->taken",
           [T + "BlasHandles.*"]),
    Defect("cublas-handles-that-failed-are-kept", BLAS, "  if (*blas_problem(blas) == 0) return;\n", "  return;\n",
           [T + "BlasHandles.*"], why="a device that was full once has no cuBLAS ever after"),
    Defect("cublas-gets-a-small-workspace", SELECTION, "kLeast = 64 << 10,", "kLeast = 0,",
           ["device_gemm_policy_test --gtest_filter=*CublasRefuses*"]),
    # What a device holds.
    Defect("clusters-are-counted-as-one-size", FACTS, "    shape.cluster = 1u << k;\n", "    shape.cluster = 2;\n",
           [T + "DeviceFacts.*"], why="a grid of clusters that never fit at once waits for ever"),
    Defect("clusters-are-counted-without-shared-memory", FACTS,
           "  shape.shared_bytes = static_cast<size_t>(shared);  // one block on each multiprocessor\n", "",
           [T + "DeviceFacts.*"]),
    Defect("emulated-clusters-fill-every-multiprocessor", "kernels/simt/launch.cc",
           "*clusters += static_cast<int>(gpc * blocks / shape.cluster);",
           "*clusters += static_cast<int>(gpc * blocks / 2);", [T + "DeviceFacts.*"]),
    # The emulated runtime, by which all of this is seen.
    Defect("emulated-calls-that-succeed-forget-the-error", "kernels/simt/runtime_call.cc",
           "if (error != cudaSuccess) last_error = error;", "last_error = error;",
           ["simt_runtime_test --gtest_filter=Runtime.LastErrorOfAThread*"]),
    Defect("emulated-sorts-see-no-foreign-error", "kernels/simt/stream_queue.cc",
           "return error != cudaSuccess ? error : seen;", "return (void)seen, error;",
           ["simt_runtime_test --gtest_filter=Runtime.CubReturns*"]),
    Defect("emulated-devices-are-never-used", "kernels/simt/context.cc", "  current->active = true;\n", "",
           ["simt_runtime_test --gtest_filter=TwoDevices.OneGetsAContext*"]),
    Defect("emulated-captures-allow-to-wait-for-the-device", "kernels/simt/stream_queue.cc",
           "  if (!queue().capturing.empty()) {\n    invalidate_captures();\n    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;\n  }\n",
           "", ["simt_runtime_test --gtest_filter=CaptureModes.*"]),
    Defect("emulated-kernels-are-always-there", "kernels/simt/kernel_loading.cc",
           "  if (!all.lazy || all.kernels.count(key) > 0) return cudaSuccess;",
           "  if (!all.lazy || all.kernels.count(key) >= 0) return cudaSuccess;",
           ["simt_runtime_test --gtest_filter=CaptureModes.AKernelIsLoaded*"]),
]
