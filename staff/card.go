package staff

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A RestoreCard lets its holder agree to the restore of a backup while nobody can sign
// in: an issuer that was restored takes no work, and a console is work. It is made in
// quiet times and kept on paper. What is kept here does not give the code away.
type RestoreCard struct {
	// ID are the first characters of the code, by which the card is found and named.
	ID string
	// Operator is whose it is. A person has one at most.
	Operator string
	// Salt, Cost and Hash are the secret after PBKDF2 with SHA-256 (RFC 8018 section
	// 5.2) of Cost rounds.
	Salt, Hash []byte
	Cost       int
	Made       time.Time
	// Used is when it was given, and Epoch the number of the restore that it was given
	// for. It is good for that one only.
	Used  time.Time
	Epoch int64
	// Tries are wrong codes since the last right one.
	Tries int
}

// The shape of a code: 25 characters of [cardLetters], of which the first are the id and
// the last one is computed from the others.
const (
	cardLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	cardIDSize  = 4
	cardSize    = 25
	cardGroup   = 5
	// cardCost is more than 100 random bits need; it is for cards of a later, shorter kind.
	cardCost = 300_000
)

// MaxCardTries is how many wrong codes a card survives.
const MaxCardTries = 10

// Errors about restore cards.
var (
	// ErrCardCode: the code was not read off a card as it stands there.
	ErrCardCode = errors.New("staff: this is not the code of a restore card, or a character of it is wrong")
	// ErrCard: no card that is good here has this code. Which part of it is wrong is not
	// told.
	ErrCard = errors.New("staff: no card that is good here has this code")
	// ErrCardUsed: it was given for another restore.
	ErrCardUsed = errors.New("staff: the card was used already")
	// ErrSamePerson: two cards of one person are one person.
	ErrSamePerson = errors.New("staff: both cards are of the same person")
	// ErrFewCards: fewer than two people who may agree to a restore have a good card.
	ErrFewCards = errors.New("staff: fewer than two people have a good restore card")
	// ErrNoRestorer: one of the two must have the right to restore.
	ErrNoRestorer = errors.New("staff: one of the two has to be an administrator")
)

// NewRestoreCard makes a card: its code in groups, which is not kept, and what is.
func NewRestoreCard(operator string, now time.Time) (code string, c RestoreCard) {
	var b [cardSize - 1]byte
	rand.Read(b[:])
	letters := make([]byte, 0, cardSize)
	for _, v := range b {
		letters = append(letters, cardLetters[v%32])
	}
	letters = append(letters, cardLetters[cardCheck(letters)])
	made := CardCode{string(letters)}
	c = RestoreCard{ID: made.ID(), Operator: operator, Salt: make([]byte, 16), Cost: cardCost, Made: now.UTC().Truncate(time.Millisecond)}
	rand.Read(c.Salt)
	c.Hash = c.hash(made)
	var groups []string
	for s := made.text; s != ""; s = s[cardGroup:] {
		groups = append(groups, s[:cardGroup])
	}
	return strings.Join(groups, "-"), c
}

// A CardCode is what somebody typed off a card. It does not print.
type CardCode struct{ text string }

// ParseCardCode reads a code as people type it: in capitals or not, with spaces and
// hyphens or without, with O for 0 and I or L for 1. A character that is wrong, and two
// that changed places, are [ErrCardCode].
func ParseCardCode(typed string) (CardCode, error) {
	if len(typed) > 4*cardSize {
		return CardCode{}, ErrCardCode
	}
	letters := make([]byte, 0, cardSize)
	for _, r := range strings.ToUpper(typed) {
		switch r {
		case ' ', '-', '\t', '\u2010', '\u2011', '\u2013', '\u00a0':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if r > 'Z' || !strings.ContainsRune(cardLetters, r) || len(letters) == cardSize {
			return CardCode{}, ErrCardCode
		}
		letters = append(letters, byte(r))
	}
	if len(letters) != cardSize || cardLetters[cardCheck(letters[:cardSize-1])] != letters[cardSize-1] {
		return CardCode{}, ErrCardCode
	}
	return CardCode{string(letters)}, nil
}

// cardCheck is the value of a polynomial over the field of 32 elements (x^5 + x^2 + 1)
// at x: each place has another factor, so one changed letter and two that changed places
// change it.
func cardCheck(letters []byte) byte {
	var sum byte
	for _, l := range letters {
		if sum <<= 1; sum >= 32 {
			sum ^= 0b100101
		}
		sum ^= byte(strings.IndexByte(cardLetters, l))
	}
	if sum <<= 1; sum >= 32 { // so that the last letter has a factor, too
		sum ^= 0b100101
	}
	return sum
}

// ID is that of the card, "" for the zero value.
func (c CardCode) ID() string { return c.text[:min(cardIDSize, len(c.text))] }

// String is the id, so that no code reaches an error.
func (c CardCode) String() string { return "restore card " + c.ID() }

// GoString is String, so that %#v is safe too.
func (c CardCode) GoString() string { return c.String() }

// LogValue is String, so that slog is safe too.
func (c CardCode) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON always fails.
func (CardCode) MarshalJSON() ([]byte, error) {
	return nil, errors.New("staff: a code of a restore card has no JSON form")
}

func (c RestoreCard) hash(code CardCode) []byte {
	h, err := pbkdf2.Key(sha256.New, code.text, c.Salt, c.Cost, sha256.Size)
	if err != nil { // lengths that FIPS mode does not take; ours it does
		panic(fmt.Sprintf("staff: pbkdf2: %v", err))
	}
	return h
}

// Matches reports whether the code is the card's.
func (c RestoreCard) Matches(code CardCode) bool {
	return c.ID == code.ID() && c.Cost > 0 && subtle.ConstantTimeCompare(c.hash(code), c.Hash) == 1
}

// CheckRestore says whether these two together may confirm a restore: two persons with
// the right to agree to one, and one of them with the right to do it.
func CheckRestore(a, b Operator) error {
	switch {
	case a.ID == b.ID:
		return ErrSamePerson
	case !a.May(ApproveRestore, Proposed) || !b.May(ApproveRestore, Proposed):
		return ErrMayNot
	case !a.May(Restore, Approved) && !b.May(Restore, Approved):
		return ErrNoRestorer
	}
	return nil
}

// CheckRestorers says whether any two of those who have good cards may confirm a restore
// together. It is nil, [ErrFewCards], or [ErrNoRestorer] if the cards are all of people
// who only agree.
func CheckRestorers(holders []Operator) error {
	err := ErrFewCards
	for i, a := range holders {
		for _, b := range holders[i+1:] {
			switch e := CheckRestore(a, b); {
			case e == nil:
				return nil
			case errors.Is(e, ErrNoRestorer):
				err = e
			}
		}
	}
	return err
}
