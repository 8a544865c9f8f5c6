/** Adds decimal numbers without rounding. */
export interface ExactSum {
  /** sign · digits · 10^exponent; `times` -1 takes it away. */
  add(n: { readonly negative: boolean; readonly digits: string; readonly exponent: number }, times: 1 | -1): void;
  /** Plain notation without trailing zeros. */
  text(): string;
}

export const exactSum = (): ExactSum => {
  let sum = 0n;
  /** The sum is `sum` · 10^-scale. */
  let scale = 0;
  return {
    add: ({ negative, digits, exponent }, times) => {
      if (digits === '') return;
      if (-exponent > scale) {
        sum *= 10n ** BigInt(-exponent - scale);
        scale = -exponent;
      }
      const value = BigInt(digits) * 10n ** BigInt(exponent + scale);
      sum += negative === (times === 1) ? -value : value;
    },
    text: () => {
      const digits = String(sum < 0n ? -sum : sum).padStart(scale + 1, '0');
      const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
      return `${sum < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${scale > 0 && fraction ? `.${fraction}` : ''}`;
    },
  };
};
