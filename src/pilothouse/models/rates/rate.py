"""A price in integers: what the tokens of one model cost at one time."""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from pilothouse.models.types import Usage

FOREVER: Final = 2**63 - 1
"""The end of what has no end, in nanoseconds since 1970."""

NANO: Final = 1_000_000_000

Form = tuple[tuple[int, int], ...]
"""A sum of fields of a usage: the field's number, and what it is multiplied by."""

FIELDS: Final = {name: number for number, name in enumerate(Usage.__struct_fields__)}
_INPUT: Final = FIELDS["input_tokens"]
_MILLISECONDS: Final = FIELDS["milliseconds"]


class Rate(Struct, frozen=True, kw_only=True):
    """What a model costs while it holds, exact to the last digit of the published price.

    Parts are inside their whole, and every price is that of what is left of a kind when its dearer or cheaper parts
    are taken out; those subtractions are done once, here only sums remain.

    Attributes:
        id: ``source@date``: where the price comes from and since when it holds.
        valid_from_ns: The first moment it holds.
        valid_until_ns: The first moment it no longer holds.
        scale: Parts of a nano-dollar that `rows` and `fixed` count in.
        starts: Sizes of the input above which the next row holds, for all tokens of the call.
        rows: For each size: what is summed up.
        fixed: For each size: what every call costs.
        dearest: For each size: the dearest kind of input and of output of this size or a smaller one.
        never_negative: Sums that are negative only where the counts contradict each other.
        must_be_zero: Sums of tokens that have no price.
        unpriced: Numbers of the fields that have no price.
        least_milliseconds: What the shortest sound is billed as.
    """

    id: str
    valid_from_ns: int
    valid_until_ns: int
    scale: int
    starts: tuple[int, ...]
    rows: tuple[Form, ...]
    fixed: tuple[int, ...]
    dearest: tuple[tuple[int, int], ...]
    never_negative: tuple[Form, ...]
    must_be_zero: tuple[Form, ...]
    unpriced: tuple[int, ...]
    least_milliseconds: int = 0

    def cost(self, usage: Usage) -> int | None:
        """Return nano-dollars, rounded once, half to even.

        None where something was used that has no price, or where the counts contradict each other.
        """
        total = self._total(usage)
        if total is None or self.scale == 1:
            return total
        whole, rest = divmod(total, self.scale)
        twice = 2 * rest
        return whole + (twice > self.scale or (twice == self.scale and whole & 1))

    def dollars(self, usage: Usage) -> Decimal | None:
        """Return the cost in dollars without rounding; None as of `cost`."""
        total = self._total(usage)
        return None if total is None else Decimal(total) / (self.scale * NANO)

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Return nano-dollars that a call of so many tokens costs at most, whatever kinds of tokens they are.

        Pictures, sound, characters and searches that are billed by piece come on top: ask `cost` with their number.
        """
        row = bisect_left(self.starts, input_tokens)
        read, written = self.dearest[row]
        total = max(self.fixed[: row + 1]) + input_tokens * read + output_tokens * written
        return -(-total // self.scale)

    def _total(self, usage: Usage) -> int | None:
        values: tuple[int, ...] = astuple(usage)
        if min(values) < 0:
            return None
        for number in self.unpriced:
            if values[number]:
                return None
        if self.least_milliseconds and 0 < values[_MILLISECONDS] < self.least_milliseconds:
            values = (*values[:_MILLISECONDS], self.least_milliseconds, *values[_MILLISECONDS + 1 :])
        for form in self.must_be_zero:
            if _sum(form, values):
                return None
        for form in self.never_negative:
            if _sum(form, values) < 0:
                return None
        row = bisect_left(self.starts, values[_INPUT]) if self.starts else 0
        total = self.fixed[row]
        for number, price in self.rows[row]:
            total += values[number] * price
        return total


def _sum(form: Form, values: tuple[int, ...]) -> int:
    total = 0
    for number, factor in form:
        total += values[number] * factor
    return total
