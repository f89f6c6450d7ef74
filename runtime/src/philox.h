// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011).
#pragma once

#include "simd.h"

namespace nmtool::NMTOOL_LEVEL {

inline constexpr int kRounds = 10;

// The key of every round, ready as vectors: made once, outside of the loop over counters.
struct RoundKeys {
  U64 key[kRounds][2];

  NMTOOL_INLINE explicit RoundKeys(const uint32_t seed[2]) {
    for (uint32_t round = 0; round < kRounds; ++round) {
      key[round][0] = U64{} + uint32_t(seed[0] + round * 0x9E3779B9u);
      key[round][1] = U64{} + uint32_t(seed[1] + round * 0xBB67AE85u);
    }
  }
};

// Replaces N vectors of counters by their four random words each. A lane holds one counter word in
// its low 32 bits; what is in the high bits does not matter before and means nothing after, because
// the multiplication ignores them. That is what makes this layout fast: two multiplications, two
// shifts and two three-input xors per round, and no shuffle. The N vectors advance together because
// the rounds of one are a chain of dependent operations.
template <int N>
NMTOOL_INLINE void Philox(U64 (&counters)[N][4], const RoundKeys& keys) {
  const U64 m0 = U64{} + 0xD2511F53u, m1 = U64{} + 0xCD9E8D57u;
  NMTOOL_UNROLL(10)
  for (int round = 0; round < kRounds; ++round) {
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

}  // namespace nmtool::NMTOOL_LEVEL
