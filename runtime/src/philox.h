// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011).
#pragma once

#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

inline constexpr int kRounds = 10;
inline constexpr uint64_t kBothHalves = 0x100000001u;
inline constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;

// The key of every round in every 32-bit lane: made once, outside of the loop over counters.
struct RoundKeys {
  U64 key[kRounds][2];

  NMTOOL_INLINE explicit RoundKeys(const uint32_t seed[2]) {
    for (uint32_t round = 0; round < kRounds; ++round) {
      key[round][0] = U64{} + uint32_t(seed[0] + round * 0x9E3779B9u) * kBothHalves;
      key[round][1] = U64{} + uint32_t(seed[1] + round * 0xBB67AE85u) * kBothHalves;
    }
  }
};

// The first rounds of N vectors of counters. A lane holds one counter word in its low 32 bits; what
// is in the high bits does not matter before and means nothing after, because the multiplication
// ignores them. That is what makes this layout fast: two multiplications, two shifts and two
// three-input xors per round, and no shuffle. The N vectors advance together because the rounds of
// one are a chain of dependent operations.
template <int N>
NMTOOL_INLINE void Rounds(U64 (&counters)[N][4], const RoundKeys& keys, int rounds) {
  const U64 m0 = U64{} + kMultiplier0, m1 = U64{} + kMultiplier1;
  NMTOOL_UNROLL(10)
  for (int round = 0; round < rounds; ++round) {
    NMTOOL_UNROLL(4)
    for (U64(&c)[4] : counters) {
      const U64 p0 = MultiplyLow32(c[0], m0), p1 = MultiplyLow32(c[2], m1);
      c[0] = (p1 >> 32) ^ c[1] ^ keys.key[round][0];
      c[1] = p1;
      c[2] = (p0 >> 32) ^ c[3] ^ keys.key[round][1];
      c[3] = p0;
    }
  }
}

// Replaces N vectors of counters by their four random words each.
template <int N>
NMTOOL_INLINE void Philox(U64 (&counters)[N][4], const RoundKeys& keys) {
  Rounds(counters, keys, kRounds);
}

#if !defined(NMTOOL_SCALAR)
// The words of the counters of even and of odd 32-bit lanes. The last round works on packed words:
// packing includes the shifts, and leaves half of the xors.
inline void Philox(U64 (&counters)[2][4], const RoundKeys& keys, U32 words[4]) {
  Rounds(counters, keys, kRounds - 1);
  const U64(&even)[4] = counters[0], (&odd)[4] = counters[1];
  const U64 m0 = U64{} + kMultiplier0, m1 = U64{} + kMultiplier1;
  const U64 even0 = MultiplyLow32(even[0], m0), odd0 = MultiplyLow32(odd[0], m0),
            even1 = MultiplyLow32(even[2], m1), odd1 = MultiplyLow32(odd[2], m1);
  const U64(&key)[2] = keys.key[kRounds - 1];
  words[0] = HighHalves(even1, odd1) ^ LowHalves(even[1], odd[1]) ^ (U32)key[0];
  words[1] = LowHalves(even1, odd1);
  words[2] = HighHalves(even0, odd0) ^ LowHalves(even[3], odd[3]) ^ (U32)key[1];
  words[3] = LowHalves(even0, odd0);
}
#endif

}  // namespace nmtool::NMTOOL_LEVEL
