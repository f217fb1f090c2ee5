package verifier

import (
	"context"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
)

// A transaction is one request, from the relying party's wish to the result. What
// the store has of it contains no secret: nonce, state, response address and the key
// of the response are derived from the secret in the address of the request, which
// only the wallet has.
type transaction struct {
	Handle  string          `json:"handle"` // names it in logs, receipts and webhooks
	Policy  string          `json:"policy"`
	Version int             `json:"version"`
	Owner   string          `json:"owner,omitempty"` // the relying party
	Client  string          `json:"client"`
	Query   json.RawMessage `json:"query"`
	Data    []string        `json:"transaction_data,omitempty"`
	Created int64           `json:"created"` // Unix seconds
	Expires int64           `json:"expires"`
	// Until is when the result is forgotten.
	Until int64 `json:"until"`
	// Box is the public key that the result is sealed to; none in a store that is not durable.
	Box []byte `json:"box,omitempty"`
	// ReturnTo and Browser are of the flow on one device: Browser is the SHA-256 of
	// what identifies the browser to the relying party.
	ReturnTo string `json:"return_to,omitempty"`
	Browser  []byte `json:"browser,omitempty"`
	Receipt  bool   `json:"receipt,omitempty"`

	query *oid4vp.Query // Query, once it was read in this process; it never changes
}

// An outcome is what became of a transaction. It says nothing about persons outside
// of the box, unless it never leaves the memory of this process.
type outcome struct {
	Handle   string   `json:"handle"`
	Verdict  string   `json:"verdict"` // "refused" if the wallet refused
	Reasons  []string `json:"reasons"`
	Received int64    `json:"received"`
	Sealed   []byte   `json:"sealed,omitempty"`
	// Plain is the result in a store that is not durable: there is no copy of it that sealing
	// would protect, and who reads the memory of this process sees results being made.
	Plain []byte `json:"plain,omitempty"`
}

// secrets are what wallet and server share about a transaction.
type secrets struct {
	response     string // ends the response URI
	nonce, state string
	key          *jose.DecryptionKey // set by request, if answers are encrypted
}

// derive returns the secret with this label that belongs to another.
func (s *Service) derive(label, from string) []byte {
	m := hmac.New(sha256.New, s.Once.Secret())
	fmt.Fprintf(m, "sanad verifier %s %s", label, from)
	return m.Sum(nil)
}

func (s *Service) responseSecret(request string) string {
	return strict.Base64URL(s.derive("response", request))
}

// secrets are those that belong to a response address, without the key; see
// [Service.responseKey].
func (s *Service) secrets(response string) *secrets {
	return &secrets{
		response: response,
		nonce:    strict.Base64URL(s.derive("nonce", response)),
		state:    strict.Base64URL(s.derive("state", response)),
	}
}

// responseKey is the key that the answer at this address is encrypted to.
func (s *Service) responseKey(response string) (*jose.DecryptionKey, error) {
	// One scalar in 2^32 is none.
	for i := range 8 {
		key, err := jose.RestoreDecryptionKey(strict.Base64URL(s.derive("kid", response)[:12]), s.derive(fmt.Sprintf("key %d", i), response))
		if err == nil {
			return key, nil
		}
	}
	return nil, errors.New("verifier: internal error: no key for a response")
}

// How results are sealed: RFC 9180 in base mode, with DHKEM(P-256, HKDF-SHA256), whose keys
// the machine multiplies in a third of the time that X25519 takes it.
var kem = hpke.DHKEM(ecdh.P256())

const sealInfo = "sanad verifier result 1 "

// box is the key pair that belongs to the secret of a relying party.
func box(id string) (hpke.PrivateKey, error) {
	sum := sha256.Sum256([]byte("sanad verifier box " + id))
	return kem.DeriveKeyPair(sum[:])
}

func (tx *transaction) seal(plain []byte) ([]byte, error) {
	public, err := kem.NewPublicKey(tx.Box)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(sealInfo+tx.Handle), plain)
}

func (o *outcome) open(id string) ([]byte, error) {
	private, err := box(id)
	if err != nil {
		return nil, err
	}
	return hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(sealInfo+o.Handle), o.Sealed)
}

// close puts the result into an outcome.
func (s *Service) close(tx *transaction, o *outcome, result []byte) (err error) {
	if !s.Once.Durable() {
		o.Plain = result
		return nil
	}
	o.Sealed, err = tx.seal(result)
	return err
}

// disclose is the result of an outcome, for who has the id of its request.
func (s *Service) disclose(o *outcome, id string) ([]byte, error) {
	if !s.Once.Durable() {
		return o.Plain, nil
	}
	return o.open(id)
}

// handle names a transaction and says nothing about its secret.
func handle(id string) string {
	return handleOf("sanad verifier handle " + id)
}

// handleOf is a handle as people pass it to `verifier webhooks`: 120 bits in lower-case
// base32, so that no shell takes the first character for a flag.
func handleOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}

func outcomeKey(handle string) once.Key { return once.KeyOf(once.Result, "outcome", handle) }

func value(k once.Key, expires int64, data any) (once.Value, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return once.Value{}, err
	}
	return once.Value{Kind: k.Kind, Digest: k.Digest, Expires: time.Unix(expires, 0), Data: b}, nil
}

// find returns the transaction that a secret belongs to.
func (s *Service) find(ctx context.Context, kind once.Kind, secret string) (*transaction, error) {
	k := once.KeyOf(kind, secret)
	v, err := s.Once.Get(ctx, s.Now(), k.Kind, k.Digest)
	switch {
	case errors.Is(err, once.ErrUsed):
		return nil, errAnswered
	case errors.Is(err, once.ErrExpired):
		return nil, errExpired
	case errors.Is(err, once.ErrNone):
		return nil, errUnknown
	case err != nil:
		return nil, fmt.Errorf("find a transaction: %w", err)
	}
	tx := new(transaction)
	if err := json.Unmarshal(v.Data, tx); err != nil {
		return nil, fmt.Errorf("read a transaction: %w", err)
	}
	return tx, nil
}

// What is said of a transaction that cannot go on.
var (
	errAnswered = web.Refuse(http.StatusGone, "already_answered", "this request was answered before")
	errExpired  = web.Refuse(http.StatusGone, "expired", "this request has expired")
	errUnknown  = web.Refuse(http.StatusNotFound, "not_found", "there is no such request")
	// errFull is of the store in memory: what asks is refused before what answers is.
	errFull    = &web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "too many requests are open; try again later", Retry: 30 * time.Second}
	errChanged = web.Refuse(http.StatusGone, "changed", "the policy or the key of this request was changed; ask again")
)

// request is the request of a transaction as the wallet gets it.
func (s *Service) request(tx *transaction, sec *secrets) (*Policy, *oid4vp.Request, error) {
	p := s.Policies[tx.Policy]
	if p == nil || p.Version != tx.Version {
		return nil, nil, errChanged
	}
	if tx.query == nil {
		query, err := oid4vp.ParseQuery(tx.Query)
		if err != nil {
			return nil, nil, err
		}
		tx.query = query
	}
	client, err := oid4vp.ParseClientID(tx.Client)
	if err != nil {
		return nil, nil, err
	}
	r := &oid4vp.Request{
		Client: oid4vp.Client{ID: client}, ResponseMode: oid4vp.DirectPostJWT, ResponseURI: s.URL + "/response/" + sec.response,
		Nonce: sec.nonce, State: sec.state, Query: tx.query, Policy: p.info(),
		Metadata: &oid4vp.ClientMetadata{Formats: oid4vp.SDJWTFormat()},
		IssuedAt: time.Unix(tx.Created, 0), Expires: time.Unix(tx.Expires, 0),
	}
	if p.Plain {
		r.ResponseMode = oid4vp.DirectPost
	} else {
		if sec.key, err = s.responseKey(sec.response); err != nil {
			return nil, nil, err
		}
		r.Metadata.Keys, r.Metadata.Encryptions = []jose.EncryptionKey{sec.key.Public()}, oid4vp.AllEncryptions()
	}
	for _, encoded := range tx.Data {
		d, err := oid4vp.ParseTransactionData(encoded)
		if err != nil {
			return nil, nil, err
		}
		r.TransactionData = append(r.TransactionData, d)
	}
	return p, r, nil
}
