package samplecountry

import "time"

// A random is a stream of numbers that follows from the seed and from whom it
// is for (SplitMix64). It is reproducible and fast, and nothing else: not for
// secrets.
type random uint64

func newRandom(seed uint64, who int) random { return random(mix(seed ^ mix(uint64(who)+1))) }

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *random) next() uint64 {
	x := mix(uint64(*r))
	*r += 0x9e3779b97f4a7c15
	return x
}

// below returns a number from 0 to n-1.
func (r *random) below(n int) int { return int(r.next() >> 33 % uint64(n)) }

// between returns a number from a to b.
func (r *random) between(a, b int) int { return a + r.below(b-a+1) }

// percent is true in p of 100 cases.
func (r *random) percent(p int) bool { return r.below(100) < p }

func pick[T any](r *random, list []T) T { return list[r.below(len(list))] }

// A day is a date as days since 1970-01-01.
type day int

func dayOf(y, m, d int) day {
	return day(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (d day) civil() (y, m, dd int) {
	yy, mm, dd := time.Unix(int64(d)*86400, 0).UTC().Date()
	return yy, int(mm), dd
}

// years returns the day n years later; 29 February becomes 1 March.
func (d day) years(n int) day {
	y, m, dd := d.civil()
	return dayOf(y+n, m, dd)
}

// digits returns n with leading zeros, width digits long.
func digits(n, width int) string {
	var b [20]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return string(b[:width])
}

// scatter maps numbers below 100 000 000 to each other, one to one, so that
// numbers which follow each other do not look like it.
func scatter(n int) int { return int((uint64(n)*61_803_399 + 27_182_818) % 100_000_000) }

// nationalNumber is the number of person n: reserved prefix, eight digits and a
// check digit that is wrong by Luhn's rule, always.
func nationalNumber(n int) string {
	s := "9990" + digits(scatter(n), 8)
	return s + string(rune('0'+(luhn(s)+5)%10))
}

// luhn returns the check digit that would fit (ISO/IEC 7812-1 annex B).
func luhn(s string) int {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return (10 - sum%10) % 10
}
