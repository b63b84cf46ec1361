// Placeholder taken over from a prototype until the emulator stands here.
// SPDX-License-Identifier: Apache-2.0
// simt_emu.cpp - scheduler, barriers, warp collectives, mma, cp.async, race/deadlock reports.
// Build this file WITHOUT -fsanitize=thread (its own state is single-OS-thread).
#include "kernels/simt/device.h"
#include <sys/mman.h>
#include <unistd.h>
#include <array>
#include <cstdio>
#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <sstream>

#if defined(SIMT_FIBER_UCONTEXT)
#include <ucontext.h>
#elif defined(SIMT_FIBER_BOOST)
#include <boost/context/detail/fcontext.hpp>
#else
extern "C" void simt_switch(void** save, void* load);
asm(R"(
.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN 1
#include <pthread.h>
#else
#define ASAN 0
#define __asan_poison_memory_region(a, b) ((void)0)
#define __asan_unpoison_memory_region(a, b) ((void)0)
#endif
#if defined(SIMT_REAL_TSAN)   // libtsan drives the happens-before analysis; every CUDA thread is a TSan fiber
extern "C" { void* __tsan_get_current_fiber(); void* __tsan_create_fiber(unsigned); void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned); void __tsan_acquire(void*); void __tsan_release(void*); }
extern "C" { void AnnotateIgnoreReadsBegin(const char*, int); void AnnotateIgnoreReadsEnd(const char*, int); void AnnotateIgnoreWritesBegin(const char*, int); void AnnotateIgnoreWritesEnd(const char*, int); }
namespace { struct Quiet { Quiet() { AnnotateIgnoreReadsBegin("", 0); AnnotateIgnoreWritesBegin("", 0); } ~Quiet() { AnnotateIgnoreWritesEnd("", 0); AnnotateIgnoreReadsEnd("", 0); } }; }
#define QUIET Quiet quiet_;                 // the runtime's own accesses (via libc interceptors) are not the kernel's
#else
#define QUIET
#define __tsan_acquire(x) ((void)0)
#define __tsan_release(x) ((void)0)
#endif

namespace varlstm::simt::emu {
options opt; stats st; ctx* cur = nullptr;
namespace {
constexpr std::size_t kStack = 64 << 10, kStride = 256 << 10, kShared = 1ull << 30, kGlobal = 4ull << 30;
const char* kScope[] = {"warp_sync", "block_sync", "cluster_sync", "grid_sync"};

struct Thread; struct Block; struct Cluster;
struct Fiber {
  unsigned char* stk = nullptr; void* sp = nullptr; void* tsan = nullptr; void* fake = nullptr;
#if defined(SIMT_FIBER_UCONTEXT)
  ucontext_t uc;
#endif
};
struct Bar { unsigned count = 0; std::vector<Thread*> wait; };
struct Coll { unsigned mask, here = 0; const char* op; void *in[32], *out[32]; Thread* th[32]; };
struct Async { void* d; const void* s; unsigned group; };
struct Thread : ctx, Fiber {
  Block* blk; Cluster* clu; unsigned id, warp; bool done = false, arrived = false; unsigned clphase = 0, prio = 0;
  const char *wkind = nullptr, *wfile = ""; int wline = 0; unsigned wmask = 0;
  std::uint32_t rel[4] = {}, acq[4] = {};
  std::vector<Async> async; unsigned agroup = 0;
};
struct Block { unsigned idx, live, n; unsigned char* mem; Bar bar; std::vector<std::vector<Coll>> warps; std::vector<Bar> wbar;
               std::map<unsigned, std::pair<unsigned, std::array<std::uint32_t, 4>>> remote; bool exited = false; };
struct Cluster { unsigned live = 0, count = 0, phase = 0; std::vector<Thread*> wait; std::vector<Block*> blk; };

std::vector<std::unique_ptr<Thread>> threads; std::vector<std::unique_ptr<Block>> blocks; std::vector<std::unique_ptr<Cluster>> clusters;
std::vector<Thread*> runq; std::size_t head = 0; Bar gridbar; unsigned glive, ndone;
Fiber mainf; Thread* self = nullptr; const std::function<void()>* body; std::exception_ptr err; std::size_t csmem;
std::vector<unsigned char*> stacks; std::uint64_t rng = 1; unsigned pctcut = 0; unsigned char *shbase = nullptr, *glbase = nullptr; std::size_t glused = 0;
struct { int x; } tsan_launch;

std::uint64_t rnd() { rng ^= rng << 13; rng ^= rng >> 7; rng ^= rng << 17; return rng; }
[[noreturn]] void fail(const std::string& m) { throw emu_error(m); }
std::string who(const Thread* t) { std::ostringstream o; o << "block " << t->bid.x << " thread " << t->tid.x; return o.str(); }

// ---- fibers
void entry();
#if defined(SIMT_FIBER_BOOST)
namespace bc = boost::context::detail;
Fiber* bprev = nullptr;
void bentry(bc::transfer_t t) { bprev->sp = t.fctx; entry(); }
#endif
void make(Fiber& f) {
  if (stacks.empty()) {
    auto* p = (unsigned char*)mmap(nullptr, kStack + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mprotect(p, 4096, PROT_NONE);                                    // guard page: a stack overflow faults
    stacks.push_back(p + 4096);
  }
  f.stk = stacks.back(); stacks.pop_back();
  __asan_unpoison_memory_region(f.stk, kStack);
#if defined(SIMT_FIBER_UCONTEXT)
  getcontext(&f.uc); f.uc.uc_stack.ss_sp = f.stk; f.uc.uc_stack.ss_size = kStack; f.uc.uc_link = nullptr; makecontext(&f.uc, entry, 0);
#elif defined(SIMT_FIBER_BOOST)
  f.sp = bc::make_fcontext(f.stk + kStack, kStack, bentry);
#else
  void** s = (void**)(f.stk + kStack) - 3; *--s = (void*)entry; for (int i = 0; i < 6; ++i) *--s = nullptr; f.sp = s;
#endif
#if defined(SIMT_REAL_TSAN)
  f.tsan = __tsan_create_fiber(0);
#endif
}
void hop(Fiber& from, Fiber& to, Thread* next, bool last = false) {
  ++st.switches; self = next; cur = next;
#if ASAN
  static const auto host = [] { pthread_attr_t a; void* b; std::size_t n; pthread_getattr_np(pthread_self(), &a); pthread_attr_getstack(&a, &b, &n); pthread_attr_destroy(&a); return std::make_pair(b, n); }();
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake, to.stk ? to.stk : host.first, to.stk ? kStack : host.second);
#endif
#if defined(SIMT_REAL_TSAN)
  __tsan_switch_to_fiber(to.tsan, 1 /* no sync: switching is not a happens-before edge */);
#endif
  (void)last;
#if defined(SIMT_FIBER_UCONTEXT)
  swapcontext(&from.uc, &to.uc);
#elif defined(SIMT_FIBER_BOOST)
  bprev = &from; auto t = bc::jump_fcontext(to.sp, nullptr); bprev->sp = t.fctx;
#else
  simt_switch(&from.sp, to.sp);
#endif
#if ASAN
  const void* b; std::size_t n; __sanitizer_finish_switch_fiber(from.fake, &b, &n); if (!from.stk) { mainf.stk = nullptr; }
#endif
}
bool lower(Thread* a, Thread* b) { return a->prio < b->prio; }
void ready(Thread* t) { t->wkind = nullptr; runq.push_back(t); if (opt.sched == policy::pct) std::push_heap(runq.begin(), runq.end(), lower); }
Thread* pick() {
  if (head == runq.size()) { runq.clear(); head = 0; return nullptr; }
  Thread* t;
  switch (opt.sched) {
    case policy::fifo: t = runq[head++]; if (head > 4096) { runq.erase(runq.begin(), runq.begin() + (long)head); head = 0; } return t;
    case policy::lifo: break;
    case policy::random: std::swap(runq[rnd() % runq.size()], runq.back()); break;
    case policy::pct: std::pop_heap(runq.begin(), runq.end(), lower);
      if (runq.size() > 1 && rnd() % 64 == 0) {                       // priority change point
        runq.back()->prio = pctcut ? --pctcut : 0; std::push_heap(runq.begin(), runq.end(), lower); std::pop_heap(runq.begin(), runq.end(), lower); }
      break;
  }
  t = runq.back(); runq.pop_back(); return t;
}
void reschedule(bool last = false) {
  Thread *me = self, *n = err ? nullptr : pick();
  if (n == me) { self = me; cur = me; return; }
  n ? hop(*me, *n, n, last) : hop(*me, mainf, nullptr, last);
}
void block_on(const char* k, unsigned mask, const char* f, int l) { self->wkind = k; self->wmask = mask; self->wfile = f; self->wline = l; reschedule(); }

void race_exit(Thread* t);
void on_exit(Thread* t) {
  QUIET
  t->done = true; ++ndone; --glive; Block* b = t->blk; Cluster* c = t->clu;
  race_exit(t);
  if (opt.strict_exit && b->bar.count) fail(who(t) + " exited while " + std::to_string(b->bar.count) + " of " + std::to_string(b->n) +
      " threads of its block wait at block_sync (" + b->bar.wait[0]->wfile + ":" + std::to_string(b->bar.wait[0]->wline) + ")");
  if (--b->live == 0) b->exited = true;
  if (--c->live == c->count && c->count) { c->count = 0; ++c->phase; for (auto* w : c->wait) ready(w); c->wait.clear(); }
}
void entry() {
#if ASAN
  { const void* b; std::size_t z; __sanitizer_finish_switch_fiber(nullptr, &b, &z); }
#endif
  __tsan_acquire(&tsan_launch);
  try { (*body)(); on_exit(self); } catch (...) { if (!err) err = std::current_exception(); }
  __tsan_release(&tsan_launch);
  Thread *me = self, *n; { QUIET n = err ? nullptr : pick(); }
  hop(*me, n ? *n : mainf, n, true);
  std::abort();
}
std::string deadlock() {
  std::map<std::string, std::pair<unsigned, std::string>> g; unsigned ex = 0;
  for (auto& t : threads) if (!t->done) {
    std::ostringstream k; k << "block " << t->bid.x << ": %n at " << (t->wkind ? t->wkind : "?") << " (" << t->wfile << ":" << t->wline << ")";
    if (t->wmask != ~0u) k << " mask 0x" << std::hex << t->wmask;
    auto& e = g[k.str()]; if (e.first++ < 4) e.second += " " + std::to_string(t->tid.x); } else ++ex;
  std::ostringstream o; o << "DEADLOCK: " << threads.size() - ex << " threads can never run again, " << ex << " have exited\n";
  for (auto& [k, e] : g) { std::string s = k; s.replace(s.find("%n"), 2, std::to_string(e.first) + " thread(s)"); o << "  " << s << ", e.g. thread" << e.second << "\n"; }
  return o.str();
}
}  // namespace

// ---- barriers
void barrier(scope s, unsigned mask, const char* f, int l) {
  QUIET
  Thread* t = self; Block* b = t->blk; const int k = (int)s; ++st.barriers;
  Bar& bar = s == scope::grid ? gridbar : s == scope::block ? b->bar : b->wbar[t->warp];
  const unsigned need = s == scope::grid ? (unsigned)threads.size() : s == scope::block ? b->n : std::min(32u, b->n - t->warp * 32);
  if (s == scope::warp && mask != ~0u) {   // partial warp: a collective without data; gives no happens-before edge here (conservative)
    collective("warp_sync", mask, nullptr, nullptr, [](void* const*, void* const*, unsigned, const void*) {}, nullptr, f, l); return; }
  if (opt.strict_exit && s == scope::block && b->live < b->n) fail(who(t) + " reached block_sync (" + f + ":" + std::to_string(l) + ") after " + std::to_string(b->n - b->live) + " thread(s) of its block exited");
  if (!bar.wait.empty() && s != scope::grid && (bar.wait[0]->wline != l || std::strcmp(bar.wait[0]->wfile, f)))
    fail(who(t) + " is at " + kScope[k] + " " + f + ":" + std::to_string(l) + " while others wait at line " + std::to_string(bar.wait[0]->wline) + " (divergent barrier)");
  ++t->rel[k]; __tsan_release(&bar);
  if (++bar.count == need) {
    bar.count = 0; auto w = std::move(bar.wait); bar.wait.clear();
    for (auto* x : w) { x->acq[k] = x->rel[k]; ready(x); }
    t->acq[k] = t->rel[k];
    if (opt.sched != policy::fifo || 1) { ready(t); reschedule(); }
  } else { bar.wait.push_back(t); block_on(kScope[k], ~0u, f, l); }
  __tsan_acquire(&bar);
}
void arrive_cluster(const char* f, int l) {
  QUIET
  Thread* t = self; Cluster* c = t->clu; ++st.barriers;
  if (t->arrived) fail(who(t) + " arrives twice at the cluster barrier without waiting (" + f + ":" + std::to_string(l) + ")");
  t->arrived = true; t->clphase = c->phase; ++t->rel[2]; __tsan_release(c);
  if (++c->count == c->live) { c->count = 0; ++c->phase; for (auto* w : c->wait) ready(w); c->wait.clear(); }
}
void wait_cluster(const char* f, int l) {
  QUIET
  Thread* t = self; Cluster* c = t->clu;
  if (!t->arrived) fail(who(t) + " waits at the cluster barrier without arriving (" + f + ":" + std::to_string(l) + ")");
  if (c->phase == t->clphase) { c->wait.push_back(t); block_on("cluster_wait", ~0u, f, l); } else { ready(t); reschedule(); }
  t->arrived = false; t->acq[2] = t->rel[2]; __tsan_acquire(c);
}
// ---- warp collectives: the last lane of the mask to arrive computes for all
void collective(const char* op, unsigned mask, void* in, void* out, coll_fn fn, const void* arg, const char* f, int l) {
  QUIET
  Thread* t = self; ++st.collectives;
  const unsigned width = std::min(32u, t->blk->n - t->warp * 32), full = width == 32 ? ~0u : (1u << width) - 1;
  if (mask == ~0u) mask = full;
  if (!(mask >> t->lane & 1) || (mask & ~full)) fail(who(t) + ": " + op + " mask does not name the calling lane or names absent lanes (" + f + ":" + std::to_string(l) + ")");
  auto& v = t->blk->warps[t->warp];
  std::size_t i = 0; for (; i < v.size(); ++i) if (v[i].mask & mask) break;
  if (i == v.size()) { v.emplace_back(); v[i].mask = mask; v[i].op = op; }
  Coll& c = v[i];
  if (c.mask != mask || std::strcmp(c.op, op)) fail(who(t) + ": " + op + " (" + f + ":" + std::to_string(l) + ") meets a pending " + c.op + " of the same warp with another mask or kind");
  c.in[t->lane] = in; c.out[t->lane] = out; c.th[t->lane] = t; c.here |= 1u << t->lane;
  if (c.here != mask) { block_on(op, mask, f, l); return; }
  fn(c.in, c.out, mask, arg);
  Coll done = c; v.erase(v.begin() + (long)i);
  for (int k = 0; k < 32; ++k) if (mask >> k & 1 && done.th[k] != t) ready(done.th[k]);
  ready(t); reschedule();
}
unsigned vote(unsigned m, int p, const char* f, int l) {
  unsigned o = 0;
  collective("vote", m, &p, &o, [](void* const in[32], void* const out[32], unsigned mk, const void*) {
    unsigned r = 0; for (int i = 0; i < 32; ++i) if (mk >> i & 1 && *(int*)in[i]) r |= 1u << i;
    for (int i = 0; i < 32; ++i) if (mk >> i & 1) *(unsigned*)out[i] = r; }, nullptr, f, l);
  return o;
}
// ---- tensor cores (PTX ISA fragment layouts; g = lane/4, q = lane%4)
namespace {
float fin(double s, float seq) { if (opt.round == mma_round::sequential) return seq; float r = (float)s;
  if (opt.round == mma_round::truncate && std::isfinite(r) && std::fabs((double)r) > std::fabs(s)) r = std::nextafterf(r, 0.f); return r; }
float bf(std::uint32_t w, int hi) { std::uint32_t u = hi ? w & 0xffff0000u : w << 16; float f; std::memcpy(&f, &u, 4); return f; }
float tf(std::uint32_t w) { w &= ~0x1fffu; float f; std::memcpy(&f, &w, 4); return f; }   // hardware ignores the low 13 bits
template <int K> void mma_core(const float (&A)[16][K], const float (&B)[K][8], void* const* in, void* const* out) {
  ++st.mma;
  for (int l = 0; l < 32; ++l) for (int i = 0; i < 4; ++i) {
    int r = l / 4 + 8 * (i / 2), n = l % 4 * 2 + i % 2; float c = ((mma_in*)in[l])->c.r[i], q = c; double s = c;
    for (int k = 0; k < K; ++k) { s += (double)A[r][k] * B[k][n]; q = std::fma(A[r][k], B[k][n], q); }
    ((f32x4*)out[l])->r[i] = fin(s, q);
  }
}
}  // namespace
void mma_bf16(void* const* in, void* const* out, unsigned m, const void*) {
  if (m != ~0u) fail("mma needs a converged full warp");
  float A[16][16], B[16][8];
  for (int l = 0; l < 32; ++l) { auto* x = (mma_in*)in[l]; int g = l / 4, q = l % 4;
    for (int i = 0; i < 8; ++i) A[g + (i / 2 % 2) * 8][q * 2 + i % 2 + (i / 4) * 8] = bf(x->a.r[i / 2], i % 2);
    for (int i = 0; i < 4; ++i) B[q * 2 + i % 2 + (i / 2) * 8][g] = bf(x->b.r[i / 2], i % 2); }
  mma_core<16>(A, B, in, out);
}
void mma_tf32(void* const* in, void* const* out, unsigned m, const void*) {
  if (m != ~0u) fail("mma needs a converged full warp");
  float A[16][8], B[8][8];
  for (int l = 0; l < 32; ++l) { auto* x = (mma_in*)in[l]; int g = l / 4, q = l % 4;
    for (int i = 0; i < 4; ++i) A[g + (i % 2) * 8][q + (i / 2) * 4] = tf(x->a.r[i]);
    for (int i = 0; i < 2; ++i) B[q + i * 4][g] = tf(x->b.r[i]); }
  mma_core<8>(A, B, in, out);
}
// ---- memory: arenas, shadow, race detection
struct Acc { std::uint32_t tid; std::uint32_t e[4]; std::uint32_t pc; };       // pc relative to the image
struct Cell { Acc w, r[3]; };
namespace {
Cell *shshadow = nullptr, *glshadow = nullptr; constexpr int kG = 2;             // shadow granule, bytes
std::vector<std::string> reports;
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start;
void* reserve(std::size_t n) { return mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); }
void setup() {
  if (shbase) return;
  shbase = (unsigned char*)reserve(kShared); glbase = (unsigned char*)reserve(kGlobal);
  shshadow = (Cell*)reserve(kShared / kG * sizeof(Cell)); glshadow = (Cell*)reserve(kGlobal / kG * sizeof(Cell));
}
bool ordered(const Acc& a, const Thread* now) {      // a happened before now?
  const Thread* o = threads[a.tid - 1].get();
  if (o == now) return true;
  const int lca = o->blk != now->blk ? (o->clu != now->clu ? 3 : 2) : o->warp != now->warp ? 1 : 0;
  for (int k = lca; k < 4; ++k) if (a.e[k] < now->acq[k]) return true;   // a barrier at or above their common scope separates them
  return false;
}
std::string sym(std::uint32_t pc) {
  char cmd[256], buf[512] = ""; std::snprintf(cmd, sizeof cmd, "addr2line -s -e /proc/%d/exe 0x%x 2>/dev/null", (int)getpid(), pc - 1);
  if (FILE* p = popen(cmd, "r")) { if (!fgets(buf, sizeof buf, p)) buf[0] = 0; pclose(p); } std::string s = buf; while (!s.empty() && s.back() == '\n') s.pop_back(); return s;
}
std::map<std::pair<std::uint32_t, std::uint32_t>, int> seen;
void report(const char* what, const Acc& a, std::uint32_t pc, void* p) {
  ++st.races; if (seen[{a.pc, pc}]++) return;
  const Thread* o = threads[a.tid - 1].get(); std::ostringstream s; auto u = (unsigned char*)p;
  s << "RACE " << what << " at " << (u - shbase < (long)kShared && u >= shbase ? "shared of block " + std::to_string(blocks[(std::size_t)(u - shbase) / kStride]->idx) + " +" + std::to_string((std::size_t)(u - shbase) % kStride) : "global +" + std::to_string(u - glbase))
    << ": " << who(self) << " " << sym(pc) << " vs earlier " << who(o) << " " << sym(a.pc);
  reports.push_back(s.str());
}
void race_exit(Thread* t) {
  if (!opt.race) return;
  for (auto& [id, r] : t->blk->remote) {   // somebody read or wrote this block's shared memory: was that before this exit?
    bool ok = false; for (int k = 2; k < 4; ++k) ok |= r.second[(std::size_t)k] < t->acq[k];
    if (!ok) { ++st.races; if (reports.size() < 8) reports.push_back("RACE " + who(t) + " exits, but block " + std::to_string(blocks[id]->idx) + " may still access its shared memory (no cluster barrier in between)"); return; }
  }
}
enum class kind { read, write, atomic };
void check(void* p, unsigned n, kind kd, std::uintptr_t ra) {
  auto u = (unsigned char*)p; Cell* c;
  const bool sh = (std::size_t)(u - shbase) < kShared;
  if (sh) c = shshadow + (u - shbase) / kG; else if ((std::size_t)(u - glbase) < kGlobal) c = glshadow + (u - glbase) / kG; else return;
  ++st.accesses; Thread* t = self;
  if (!opt.race) return;
  const auto pc = (std::uint32_t)(ra - (std::uintptr_t)&__ehdr_start);
  if (sh) { Block* o = blocks[(std::size_t)(u - shbase) / kStride].get();
    if (o != t->blk) {
      if (o->exited) { ++st.races; if (reports.size() < 8) reports.push_back("RACE " + who(t) + " accesses shared memory of exited block " + std::to_string(o->idx) + " at " + sym(pc)); }
      auto& r = o->remote[(unsigned)((std::size_t)(t->smem - shbase) / kStride)]; r.first = t->id; std::copy(t->rel, t->rel + 4, r.second.begin()); } }
  for (unsigned i = 0; i < (n + kG - 1) / kG; ++i) {
    Acc me{t->id + 1, {t->rel[0], t->rel[1], t->rel[2], t->rel[3]}, pc};
    if (kd == kind::read) {
      if (c[i].w.tid && !ordered(c[i].w, t)) report("read-after-write", c[i].w, pc, u + i * kG);
      int k = 0; for (; k < 3; ++k) if (!c[i].r[k].tid || c[i].r[k].tid == me.tid || ordered(c[i].r[k], t)) break;
      c[i].r[k < 3 ? k : (int)(rnd() % 3)] = me;
    } else {
      const bool bothatomic = kd == kind::atomic && (c[i].w.pc & 0x80000000u);
      if (c[i].w.tid && !bothatomic && !ordered(c[i].w, t)) report("write-after-write", c[i].w, pc, u + i * kG);
      for (auto& r : c[i].r) if (r.tid && !ordered(r, t)) report("write-after-read", r, pc, u + i * kG);
      c[i].w = me; if (kd == kind::atomic) c[i].w.pc |= 0x80000000u;
      for (auto& r : c[i].r) r.tid = 0;
    }
  }
}
}  // namespace
#if defined(SIMT_REAL_TSAN)
extern "C" { void __tsan_read_range(void*, unsigned long); void __tsan_write_range(void*, unsigned long); }
void sync_rel(void* p) { __tsan_release(p); }
void sync_acq(void* p) { __tsan_acquire(p); }
#else
void sync_rel(void*) {}
void sync_acq(void*) {}
#endif
void hook(void* p, unsigned n, bool w, std::uintptr_t ra) {
  if (!self) return;
#if defined(SIMT_REAL_TSAN)                     // used by the PTX interpreter: feed libtsan by hand
  w ? __tsan_write_range(p, n) : __tsan_read_range(p, n);
#endif
  check(p, n, w ? kind::write : kind::read, ra);
  if (opt.preempt && rnd() % opt.preempt == 0 && ((std::size_t)((unsigned char*)p - shbase) < kShared || (std::size_t)((unsigned char*)p - glbase) < kGlobal)) { ready(self); reschedule(); }
}
void touch_atomic(void* p, unsigned n) { if (self) check(p, n, kind::atomic, (std::uintptr_t)__builtin_return_address(0)); }
void* map_rank(void* p, unsigned rank, const char* f, int l) {
  QUIET
  Thread* t = self; auto off = (std::size_t)((unsigned char*)p - t->smem);
  if (off >= csmem || rank >= t->clu->blk.size()) fail(who(t) + ": cluster_map of a non-shared address or bad rank (" + f + ":" + std::to_string(l) + ")");
  return t->clu->blk[rank]->mem + off;
}
void cp16(void* d, const void* s, const char* f, int l) {
  if (((std::uintptr_t)d | (std::uintptr_t)s) & 15) fail(who(self) + ": cp.async 16 needs 16-byte alignment (" + f + ":" + std::to_string(l) + ")");
  const auto ra = (std::uintptr_t)__builtin_return_address(0);
  check((void*)s, 16, kind::read, ra); check(d, 16, kind::write, ra);
  if (opt.async_late == 0 || (opt.async_late == 2 && rnd() & 1)) std::memcpy(d, s, 16);
  else self->async.push_back({d, s, self->agroup});
}
void cp_commit() { ++self->agroup; }
void cp_wait(int n) {
  auto& a = self->async; const unsigned lim = self->agroup >= (unsigned)n ? self->agroup - (unsigned)n : 0;
  for (auto& x : a) if (x.group < lim) std::memcpy(x.d, x.s, 16);
  a.erase(std::remove_if(a.begin(), a.end(), [&](const Async& x) { return x.group < lim; }), a.end());
}
void* device_alloc(std::size_t n) {
  setup(); glused = (glused + 255) & ~255ull; auto* p = glbase + glused; std::memset(p, 0xFF, n); glused += n;
  __asan_poison_memory_region(glbase + glused, 512); glused += 512; return p;     // redzone
}
void device_reset() { if (glbase) { __asan_unpoison_memory_region(glbase, glused); madvise(glbase, glused, MADV_DONTNEED); } glused = 0; }

// ---- launch
void run(const launch_config& c, const std::function<void()>& fn) {
  setup();
  const unsigned nb = c.grid.x * c.grid.y * c.grid.z, nt = c.block.x * c.block.y * c.block.z, cs = c.cluster;
  if (nb % cs || nt == 0 || nt > 1024 || cs > 16 || c.smem > 227 * 1024) fail("launch: invalid configuration");
  if (c.cooperative && nb > opt.max_blocks) fail("launch: cooperative grid of " + std::to_string(nb) + " blocks is not co-resident");
  const unsigned wave = c.cooperative ? nb : std::min(nb, std::max(cs, 8u / cs * cs));
  rng = opt.seed * 0x9E3779B97F4A7C15ull | 1; body = &fn; csmem = c.smem; reports.clear(); seen.clear();
  const auto races0 = st.races;
  for (unsigned b0 = 0; b0 < nb; b0 += wave) {
    const unsigned n = std::min(wave, nb - b0);
    threads.clear(); blocks.clear(); clusters.clear(); runq.clear(); head = 0; gridbar = Bar(); err = nullptr; ndone = 0; glive = n * nt; pctcut = 1u << 30;
    if (opt.race) { madvise(shshadow, (std::size_t)n * kStride / kG * sizeof(Cell), MADV_DONTNEED); madvise(glshadow, (glused + 4096) / kG * sizeof(Cell), MADV_DONTNEED); }
    for (unsigned i = 0; i < n; ++i) {
      blocks.push_back(std::make_unique<Block>()); Block* b = blocks.back().get();
      b->idx = b0 + i; b->live = b->n = nt; b->mem = shbase + (std::size_t)i * kStride; b->warps.resize((nt + 31) / 32); b->wbar.resize((nt + 31) / 32);
      __asan_unpoison_memory_region(b->mem, kStride); std::memset(b->mem, 0xFF, c.smem); __asan_poison_memory_region(b->mem + c.smem, kStride - c.smem);
      if (i % cs == 0) clusters.push_back(std::make_unique<Cluster>());
      Cluster* k = clusters.back().get(); k->blk.push_back(b); k->live += nt;
      for (unsigned j = 0; j < nt; ++j) {
        threads.push_back(std::make_unique<Thread>()); Thread* t = threads.back().get();
        t->tid = {j % c.block.x, j / c.block.x % c.block.y, j / c.block.x / c.block.y}; t->bid = {(b0 + i) % c.grid.x, (b0 + i) / c.grid.x % c.grid.y, (b0 + i) / c.grid.x / c.grid.y}; t->bdim = c.block; t->gdim = c.grid;
        t->lane = j % 32; t->warp = j / 32; t->rank = i % cs; t->smem = b->mem; t->blk = b; t->clu = k; t->id = (unsigned)threads.size() - 1; t->prio = (unsigned)(rnd() >> 33) | 1u << 31;
        make(*t); ready(t);
      }
    }
    st.threads += threads.size();
#if defined(SIMT_REAL_TSAN)
    mainf.tsan = __tsan_get_current_fiber();
#endif
    __tsan_release(&tsan_launch);
    while (Thread* t = err ? nullptr : pick()) hop(mainf, *t, t);
    self = nullptr; cur = nullptr;
    __tsan_acquire(&tsan_launch);
    std::string dl; if (!err && ndone < threads.size()) dl = deadlock();
    for (auto& t : threads) { stacks.push_back(t->stk);
#if defined(SIMT_REAL_TSAN)
      if (t->done && !err) __tsan_destroy_fiber(t->tsan);
#endif
    }
    if (err) std::rethrow_exception(err);
    if (!dl.empty()) throw emu_error(dl);
  }
  if (st.races != races0 && opt.race) { std::string m = std::to_string(st.races - races0) + " racing accesses\n"; for (auto& r : reports) m += "  " + r + "\n"; throw emu_error(m); }
}
}  // namespace varlstm::simt::emu

#if !defined(__SANITIZE_ADDRESS__)   // the kernel file is built with -fsanitize=thread but libtsan is NOT linked: these are its runtime
using varlstm::simt::emu::hook;
#define RA ((std::uintptr_t)__builtin_return_address(0))
extern "C" {
void __tsan_init() {} void __tsan_func_entry(void*) {} void __tsan_func_exit() {} void __tsan_vptr_update(void**, void*) {} void __tsan_vptr_read(void**) {}
#define H(n) void __tsan_read##n(void* p) { hook(p, n, false, RA); } void __tsan_write##n(void* p) { hook(p, n, true, RA); } \
  void __tsan_unaligned_read##n(void* p) { hook(p, n, false, RA); } void __tsan_unaligned_write##n(void* p) { hook(p, n, true, RA); } \
  void __tsan_volatile_read##n(void* p) { hook(p, n, false, RA); } void __tsan_volatile_write##n(void* p) { hook(p, n, true, RA); }
H(1) H(2) H(4) H(8) H(16)
void __tsan_read_range(void* p, unsigned long n) { hook(p, (unsigned)n, false, RA); }
void __tsan_write_range(void* p, unsigned long n) { hook(p, (unsigned)n, true, RA); }
int __tsan_atomic32_load(const volatile int* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
void __tsan_atomic32_store(volatile int* p, int v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_fetch_or(volatile int* p, int v, int) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
}
#endif
namespace varlstm::simt::emu { void yield() {   // called by every acquire/volatile load: spinning without any progress elsewhere is a livelock
  QUIET
  if (!self) return;
  static std::uint64_t mark = 0, spins = 0; const std::uint64_t m = st.barriers + st.collectives + ndone;
  spins = m == mark ? spins + 1 : 0; mark = m;
  if (spins > 1000 + 200 * threads.size()) { spins = 0; self->wkind = "a spin loop"; self->wfile = "spin"; throw emu_error("LIVELOCK, spinning without progress\n" + deadlock()); }
  ready(self); reschedule(); } }
