// For builds that must run with a glibc older than the one they are built with, down to 2.28: takes the older versions
// of the functions that have had a newer one since. `-include` brings it in front of every file, as tools/wheel.sh
// does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef __x86_64__
#define VARLSTM_OLD_VERSION(name) __asm__(".symver " #name "," #name "@GLIBC_2.2.5")
#elif defined(__aarch64__)
#define VARLSTM_OLD_VERSION(name) __asm__(".symver " #name "," #name "@GLIBC_2.17")
#endif

VARLSTM_OLD_VERSION(dlclose);
VARLSTM_OLD_VERSION(dlerror);
VARLSTM_OLD_VERSION(dlopen);
VARLSTM_OLD_VERSION(dlsym);
VARLSTM_OLD_VERSION(exp);
VARLSTM_OLD_VERSION(log);
VARLSTM_OLD_VERSION(pow);
VARLSTM_OLD_VERSION(pthread_create);
VARLSTM_OLD_VERSION(pthread_join);
VARLSTM_OLD_VERSION(pthread_mutex_trylock);
VARLSTM_OLD_VERSION(pthread_sigmask);
