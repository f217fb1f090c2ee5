package keys

import "crypto/sha256"

// Recode takes a file apart and puts it together again, without a passphrase.
func Recode(b []byte) ([]byte, Cost, error) {
	h, body, err := parseFile(b)
	if err != nil {
		return nil, Cost{}, err
	}
	out := append(h.bytes(len(body)), body...)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), h.cost, nil
}

// OpenBytes opens a file that is in memory.
func OpenBytes(b, passphrase []byte) ([]Key, error) {
	h, body, err := parseFile(b)
	if err != nil {
		return nil, err
	}
	s := h.unlock(passphrase)
	if !h.opens(s) {
		return nil, ErrPassphrase
	}
	c, err := decode(s, h, body)
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, e := range c.entries {
		all = append(all, e.key)
	}
	return all, nil
}

// SealBytes returns a file with this text in the place of its JSON.
func SealBytes(passphrase []byte, text string) []byte {
	h := header{cost: Cost{Memory: 64, Time: 1, Threads: 1}}
	s := h.unlock(passphrase)
	h.check = s.check(h)
	aead := s.aead()
	head := h.bytes(len(text) + aead.Overhead())
	out := aead.Seal(head, nil, []byte(text), head)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// FixedLength reads what a signer returns.
var FixedLength = fixedLength
