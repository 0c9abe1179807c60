/** CRC-32C (Castagnoli), RFC 3720 appendix B.4: the checksum of PROXY headers. */

const POLYNOMIAL = 0x82f63b78;

export function crc32c(octets: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const octet of octets) {
    remainder ^= octet;
    for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ ((remainder & 1) === 1 ? POLYNOMIAL : 0);
  }
  return (remainder ^ 0xffffffff) >>> 0;
}
