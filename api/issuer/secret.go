package issuer

import (
	"context"
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
	"strconv"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// key finds what belongs to a secret: of this issuer, in this epoch of its database.
func (e *Endpoints) key(ctx context.Context, kind once.Kind, parts ...string) (once.Key, error) {
	epoch, err := e.cfg.Office.Epoch(ctx)
	if err != nil {
		return once.Key{}, unavailable("epoch", err)
	}
	return once.KeyOf(kind, append([]string{e.cfg.Issuer, strconv.FormatInt(epoch, 10)}, parts...)...), nil
}

// value is what is stored under a secret: v as JSON, sealed with a key made of the
// secret.
func (e *Endpoints) value(ctx context.Context, kind once.Kind, secret string, expires time.Time, v any) (once.Value, error) {
	k, err := e.key(ctx, kind, secret)
	if err != nil {
		return once.Value{}, err
	}
	data, err := e.seal(kind, secret, v)
	return once.Value{Kind: kind, Digest: k.Digest, Expires: expires, Data: data}, err
}

// load returns the value under a secret and decodes it into v.
func (e *Endpoints) load(ctx context.Context, kind once.Kind, secret string, v any) (once.Value, error) {
	k, err := e.key(ctx, kind, secret)
	if err != nil {
		return once.Value{}, err
	}
	found, err := e.cfg.Once.Get(ctx, e.now(), kind, k.Digest)
	if errors.Is(err, once.ErrExpired) {
		// Asked for too late is too late for good, whatever the clock says next (VCI-05).
		_, err = e.cfg.Once.Exchange(ctx, e.now(), []once.Key{k}, nil)
		if err == nil {
			err = once.ErrExpired
		}
	}
	if err != nil {
		return once.Value{}, fromOnce(err)
	}
	return found, open(found, secret, v)
}

// fromOnce keeps the answers of the store and makes everything else "not now".
func fromOnce(err error) error {
	for _, known := range []error{nil, once.ErrNone, once.ErrExists, once.ErrGuesses, once.ErrChanged} {
		if errors.Is(err, known) {
			return err
		}
	}
	return unavailable("values that work once", err)
}

// maxSealed is the most bytes of what is stored under a secret.
const maxSealed = 64 << 10

func (e *Endpoints) seal(kind once.Kind, secret string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("issuer: seal: %w", err)
	}
	if len(plain) > maxSealed {
		return nil, fmt.Errorf("issuer: %d bytes belong to a %s", len(plain), kind)
	}
	aead, err := sealer(kind, secret)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := io.ReadFull(e.cfg.Rand, nonce); err != nil {
		return nil, fmt.Errorf("issuer: seal: %w", err)
	}
	return aead.Seal(nonce, nonce, plain, nil), nil
}

func sealer(kind once.Kind, secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sanad "+string(kind), 32)
	if err != nil {
		return nil, fmt.Errorf("issuer: seal: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("issuer: seal: %w", err)
	}
	return cipher.NewGCM(block)
}

// open is the reverse of seal.
func open(found once.Value, secret string, v any) error {
	aead, err := sealer(found.Kind, secret)
	if err != nil {
		return err
	}
	if len(found.Data) < aead.NonceSize() {
		return fmt.Errorf("issuer: what belongs to a %s is cut off", found.Kind)
	}
	plain, err := aead.Open(nil, found.Data[:aead.NonceSize()], found.Data[aead.NonceSize():], nil)
	if err != nil {
		return fmt.Errorf("issuer: what belongs to a %s cannot be opened", found.Kind)
	}
	return json.Unmarshal(plain, v)
}

// secret makes a code, a token or a reference.
func (e *Endpoints) secret() (oid4vci.Secret, error) { return oid4vci.NewSecret(e.cfg.Rand) }

// Purposes of nonces that we give out.
const (
	holderNonce = "c_nonce"
	dpopNonce   = "dpop"
	// attestationChallenge is what client attestations call a nonce.
	attestationChallenge = "attestation"
)

// nonceSize is that of a nonce before its encoding: end, randomness, authentication.
const (
	nonceRandom = 16
	nonceMAC    = 16
	nonceSize   = 8 + nonceRandom + nonceMAC
)

// newNonce makes a nonce that takes no place until it is used: 128 random bits, its
// end, and a code that only we can make, in this epoch of the database: a restore does
// not know which were used.
func (e *Endpoints) newNonce(ctx context.Context, purpose string) (string, error) {
	b := make([]byte, 8+nonceRandom, nonceSize)
	binary.BigEndian.PutUint64(b, uint64(e.now().Add(e.cfg.Lifetimes.Nonce).UnixMilli()))
	if _, err := io.ReadFull(e.cfg.Rand, b[8:]); err != nil {
		return "", fmt.Errorf("issuer: make nonce: %w", err)
	}
	mac, err := e.nonceMAC(ctx, purpose, b)
	return strict.Base64URL(append(b, mac...)), err
}

func (e *Endpoints) nonceMAC(ctx context.Context, purpose string, b []byte) ([]byte, error) {
	epoch, err := e.cfg.Office.Epoch(ctx)
	if err != nil {
		return nil, unavailable("epoch", err)
	}
	return e.mac(b, "sanad nonce %s %d:%s %d", purpose, len(e.cfg.Issuer), e.cfg.Issuer, epoch)
}

// mac authenticates what goes out and comes back, with a label.
func (e *Endpoints) mac(b []byte, label string, args ...any) ([]byte, error) {
	secret, err := e.cfg.Secret()
	if err == nil && len(secret) != 32 {
		err = fmt.Errorf("a secret of %d bytes", len(secret))
	}
	if err != nil {
		return nil, unavailable("secret of nonces", err)
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, label, args...)
	mac.Write(b)
	return mac.Sum(nil)[:nonceMAC], nil
}

// checkNonce reports whether a nonce is one of ours for this purpose, and until when
// it works.
func (e *Endpoints) checkNonce(ctx context.Context, purpose, nonce string) (until time.Time, ok bool, err error) {
	b, err := strict.DecodeBase64URL(nonce)
	if err != nil || len(b) != nonceSize {
		return time.Time{}, false, nil //nolint:nilerr // it is none of ours
	}
	mac, err := e.nonceMAC(ctx, purpose, b[:8+nonceRandom])
	if err != nil || !hmac.Equal(b[8+nonceRandom:], mac) {
		return time.Time{}, false, err
	}
	until = time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	now := e.now()
	return until, now.Before(until) && !until.After(now.Add(e.cfg.Lifetimes.Nonce+oid4vci.Leeway)), nil
}

// used is the mark of a value that was brought once, such as a nonce or a proof.
func (e *Endpoints) used(ctx context.Context, kind once.Kind, until time.Time, parts ...string) (once.Value, error) {
	k, err := e.key(ctx, kind, parts...)
	return once.Value{Kind: kind, Digest: k.Digest, Expires: until}, err
}
