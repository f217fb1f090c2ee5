package issuance

import "strings"

// NumberLength is the length of a document number.
const NumberLength = 12

// DocumentNumber returns the number that is printed on paper for people to type: eleven
// characters of the random part of the credential's id and one that checks them, in
// Crockford's base32. It stands on every paper of the credential and in no code, so
// that scans tell nothing by it. Two credentials can have the same number, once in
// some hundred million: whoever looks one up must expect several. It panics if id is
// not the id of a credential.
func DocumentNumber(id string) string {
	if !ValidID(id) {
		panic("issuance: internal error: document number of no credential id")
	}
	number := id[idLength-(NumberLength-1):]
	return number + string(crockford[checkDigit(number)])
}

// ParseDocumentNumber reads a number as people type it: small letters, O for 0, I or L
// for 1, spaces and hyphens. ok is false if a character was mistyped or two were swapped.
func ParseDocumentNumber(typed string) (number string, ok bool) {
	if len(typed) > 4*NumberLength {
		return "", false
	}
	number = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\u00a0', '\u2010', '\u2011', '\u2013':
			return -1
		case 'O', 'o':
			return '0'
		case 'I', 'i', 'L', 'l':
			return '1'
		}
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, typed)
	if len(number) != NumberLength || strings.Trim(number, crockford) != "" {
		return "", false
	}
	return number, strings.IndexByte(crockford, number[NumberLength-1]) == checkDigit(number[:NumberLength-1])
}

// NumberTail is how the ids of the credentials with this document number end: all of it
// but the digit that checks it.
func NumberTail(number string) string { return number[:max(0, len(number)-1)] }

// checkDigit is the sum of the digits times different powers of a generator of GF(32)
// (x^5 + x^2 + 1): one wrong digit changes it, and so do two that are swapped, since all
// factors differ.
func checkDigit(digits string) int {
	sum, factor := 0, 1
	for i := range len(digits) {
		factor = times(factor, 2)
		sum ^= times(factor, strings.IndexByte(crockford, digits[i]))
	}
	return sum
}

// times multiplies in GF(32).
func times(a, b int) int {
	product := 0
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			product ^= a
		}
		if a <<= 1; a&32 != 0 {
			a ^= 0b100101
		}
	}
	return product
}
