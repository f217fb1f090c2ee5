//go:build !js

package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/argon2"
)

// The file, all numbers big-endian:
//
//	 0  15  "sanad-keystore\n"
//	15   1  version, 1
//	16  12  argon2id: memory in KiB, passes, threads
//	28  16  salt
//	44  32  check value of the passphrase
//	76   4  length n of the body
//	80   n  body: nonce, then JSON under AES-256-GCM
//	      32  SHA-256 of all before
//
// The first 80 bytes are authenticated with the body, so neither version nor
// parameters can be changed. The check value (HMAC under a key of its own) tells
// a wrong passphrase from a corrupt body, which the AEAD alone cannot; it tells a
// guesser nothing that the AEAD would not, at the same cost of one argon2id. The
// hash at the end, which anybody can compute, tells damage by accident before a
// passphrase is even tried.
const (
	fileMagic   = "sanad-keystore\n"
	fileVersion = 1

	offsetVersion = len(fileMagic)
	offsetCost    = offsetVersion + 1
	offsetSalt    = offsetCost + 12
	offsetCheck   = offsetSalt + saltSize
	offsetLength  = offsetCheck + sha256.Size
	headerSize    = offsetLength + 4

	saltSize      = 16
	secretSize    = 32
	maxPassphrase = 1 << 10
	maxFile       = 8 << 20
	maxEntries    = 4096
)

// A Cost is what one try of a passphrase takes (argon2id, RFC 9106). It is stored
// in the file and read from there.
type Cost struct {
	// Memory is in KiB; at most 512 MiB.
	Memory uint32
	// Time is the number of passes over the memory; at most 16.
	Time uint32
	// Threads is the degree of parallelism; at most 16.
	Threads uint8
}

// DefaultCost is 19 MiB, 4 passes, 1 thread: twice the passes of the least that
// OWASP advises. More memory would be the largest thing that an issuer ever holds,
// and the passphrase that is made for a new issuer has 130 bits. Smaller costs are
// for tests.
func DefaultCost() Cost { return Cost{Memory: 19 << 10, Time: 4, Threads: 1} }

// check refuses what argon2 would not take and what would let a file make the
// program hang.
func (c Cost) check() error {
	if c.Threads < 1 || c.Threads > 16 || c.Time < 1 || c.Time > 16 ||
		c.Memory < 8*uint32(c.Threads) || c.Memory > 512<<10 {
		return fmt.Errorf("keys: cost of %d KiB, %d passes, %d threads is out of bounds", c.Memory, c.Time, c.Threads)
	}
	return nil
}

// header is the fixed part of a file. It stays the same for the file's life.
type header struct {
	cost  Cost
	salt  [saltSize]byte
	check [sha256.Size]byte
}

// bytes returns the first headerSize bytes of a file with a body of n bytes.
func (h header) bytes(n int) []byte {
	b := append(make([]byte, 0, headerSize), fileMagic...)
	b = append(b, fileVersion)
	b = binary.BigEndian.AppendUint32(b, h.cost.Memory)
	b = binary.BigEndian.AppendUint32(b, h.cost.Time)
	b = binary.BigEndian.AppendUint32(b, uint32(h.cost.Threads))
	b = append(b, h.salt[:]...)
	b = append(b, h.check[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// parseFile takes a file apart as far as that goes without the passphrase.
func parseFile(b []byte) (h header, body []byte, err error) {
	switch {
	case len(b) == 0:
		return h, nil, fmt.Errorf("%w: it is empty; restore it from its backup", ErrTruncatedFile)
	case !bytes.HasPrefix(b, []byte(fileMagic)[:min(len(b), len(fileMagic))]):
		return h, nil, fmt.Errorf("%w: it is some other file; check the path in the settings", ErrForeignFile)
	case len(b) > offsetVersion && b[offsetVersion] != fileVersion:
		return h, nil, fmt.Errorf("%w: %d, and this program knows %d; use the program that wrote it or a newer one",
			ErrFileVersion, b[offsetVersion], fileVersion)
	case len(b) < headerSize:
		return h, nil, fmt.Errorf("%w: it has %d bytes; restore it from its backup", ErrTruncatedFile, len(b))
	}
	length := int64(binary.BigEndian.Uint32(b[offsetLength:]))
	switch want := int64(headerSize) + length + sha256.Size; {
	case int64(len(b)) < want:
		return h, nil, fmt.Errorf("%w: it has %d bytes of %d; restore it from its backup", ErrTruncatedFile, len(b), want)
	case int64(len(b)) > want:
		return h, nil, fmt.Errorf("%w: it has %d bytes of %d; restore it from its backup", ErrCorruptFile, len(b), want)
	}
	end := len(b) - sha256.Size
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return h, nil, fmt.Errorf("%w: its checksum is wrong; restore it from its backup", ErrCorruptFile)
	}
	threads := binary.BigEndian.Uint32(b[offsetCost+8:])
	h.cost = Cost{
		Memory:  binary.BigEndian.Uint32(b[offsetCost:]),
		Time:    binary.BigEndian.Uint32(b[offsetCost+4:]),
		Threads: uint8(min(threads, 0xff)),
	}
	if err := h.cost.check(); err != nil {
		return h, nil, fmt.Errorf("%w: %v; restore it from its backup", ErrCorruptFile, err)
	}
	copy(h.salt[:], b[offsetSalt:])
	copy(h.check[:], b[offsetCheck:])
	return h, b[headerSize:end], nil
}

// A sealer is what a passphrase turns into for one file. It holds its keys
// inside functions, where printing does not find them.
type sealer struct {
	check func(header) [sha256.Size]byte
	aead  func() cipher.AEAD
}

// unlock derives the sealer of a passphrase. It cannot tell a wrong one; see
// [header.opens].
func (h header) unlock(passphrase []byte) sealer {
	key := argon2.IDKey(passphrase, h.salt[:], h.cost.Time, h.cost.Memory, h.cost.Threads, secretSize)
	defer clear(key)
	checkKey, aeadKey := subkey(key, "passphrase check"), subkey(key, "content")
	defer clear(aeadKey)
	block, err := aes.NewCipher(aeadKey)
	if err != nil {
		panic("keys: internal error: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("keys: internal error: " + err.Error())
	}
	return sealer{
		check: func(h header) [sha256.Size]byte {
			mac := hmac.New(sha256.New, checkKey)
			mac.Write(h.bytes(0)[:offsetCheck])
			return [sha256.Size]byte(mac.Sum(nil))
		},
		aead: func() cipher.AEAD { return aead },
	}
}

// subkey derives one of the keys of a file from what argon2id returned.
func subkey(key []byte, label string) []byte {
	out, err := hkdf.Expand(sha256.New, key, "sanad keystore 1: "+label, secretSize)
	if err != nil {
		panic("keys: internal error: " + err.Error())
	}
	return out
}

// opens reports, in constant time, whether s was made from the passphrase of h.
func (h header) opens(s sealer) bool {
	want := s.check(h)
	return hmac.Equal(want[:], h.check[:])
}

// sealed is the JSON inside the file. Version 1 has exactly these members.
type sealed struct {
	Identity string      `json:"identity"`
	Master   []byte      `json:"master"`
	Keys     []sealedKey `json:"keys"`
}

type sealedKey struct {
	ID               ID        `json:"id"`
	Algorithm        Algorithm `json:"algorithm"`
	Purpose          Purpose   `json:"purpose"`
	State            State     `json:"state"`
	Created          time.Time `json:"created"`
	Published        time.Time `json:"published,omitzero"`
	SignFrom         time.Time `json:"sign_from"`
	SignUntil        time.Time `json:"sign_until"`
	VerifyUntil      time.Time `json:"verify_until,omitzero"`
	CompromisedSince time.Time `json:"compromised_since,omitzero"`
	Private          []byte    `json:"private"`
}

// encode returns the whole file for what it is to hold.
func (f *File) encode(c content) ([]byte, error) {
	s := sealed{Identity: c.identity, Master: c.master()}
	for _, e := range c.entries {
		k := e.key
		s.Keys = append(s.Keys, sealedKey{
			ID: k.ID(), Algorithm: k.Public.Algorithm(), Purpose: k.Purpose, State: k.State,
			Created: k.Created, Published: k.Published, SignFrom: k.SignFrom, SignUntil: k.SignUntil,
			VerifyUntil: k.VerifyUntil, CompromisedSince: k.CompromisedSince, Private: e.private(),
		})
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	aead := f.seal.aead()
	n := len(plain) + aead.Overhead()
	if headerSize+n+sha256.Size > maxFile || len(c.entries) > maxEntries {
		return nil, fmt.Errorf("keys: keystore is full with %d keys", len(c.entries))
	}
	head := f.header.bytes(n)
	out := aead.Seal(head, nil, plain, head)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// decode opens the body of a file whose passphrase is known to be right.
func decode(s sealer, h header, body []byte) (content, error) {
	corrupt := func(what string) (content, error) {
		return content{}, fmt.Errorf("%w: %s; restore it from its backup", ErrCorruptFile, what)
	}
	plain, err := s.aead().Open(nil, nil, body, h.bytes(len(body)))
	if err != nil {
		return corrupt("its content was changed")
	}
	defer clear(plain)
	var in sealed
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return corrupt("its content cannot be read")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return corrupt("something follows its content")
	}
	if len(in.Master) != secretSize || in.Identity == "" || len(in.Keys) > maxEntries {
		return corrupt("its content is incomplete")
	}
	c := content{identity: in.Identity, master: func() []byte { return in.Master }}
	for _, k := range in.Keys {
		e, err := k.entry()
		if err != nil {
			return content{}, err
		}
		if c.find(k.ID) >= 0 {
			return corrupt("it holds key " + k.ID.String() + " twice")
		}
		c.entries = append(c.entries, e)
	}
	return c, nil
}

// entry checks that what is said of a key fits its private half.
func (k sealedKey) entry() (entry, error) {
	private, err := parsePrivate(k.Private)
	if err != nil {
		return entry{}, err
	}
	public, err := NewPublicKey(k.Algorithm, private.Public())
	if err != nil || public.ID() != k.ID {
		return entry{}, fmt.Errorf("%w: key %s is not what its entry says; restore the file from its backup", ErrCorruptFile, k.ID)
	}
	der := k.Private
	return entry{
		key: Key{
			Public: public, Purpose: k.Purpose, State: k.State,
			Created: whole(k.Created), Published: whole(k.Published), SignFrom: whole(k.SignFrom), SignUntil: whole(k.SignUntil),
			VerifyUntil: whole(k.VerifyUntil), CompromisedSince: whole(k.CompromisedSince),
		},
		private: func() []byte { return der },
	}, nil
}
