package oid4vp

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// TransactionData is something that the holder authorises together with a
// presentation, such as a payment (sections 5.1 and 8.4, profile of section B.3.3.1).
type TransactionData struct {
	// Type says what the fields mean.
	Type string
	// CredentialIDs are the credential queries whose credential may authorise it. One
	// of them does.
	CredentialIDs []string
	// Fields are the members of the type, without those above and those of the
	// profile.
	Fields map[string]any

	encoded string // as it travels: what is hashed
	algs    []string
}

// NewTransactionData makes transaction data from what it shall say.
func NewTransactionData(kind string, credentialIDs []string, fields map[string]any) (TransactionData, error) {
	m := map[string]any{"type": kind, "credential_ids": anys(credentialIDs), mHashesAlg: []any{sha256Name}}
	for name, v := range fields {
		if _, taken := m[name]; taken {
			return TransactionData{}, fmt.Errorf("oid4vp: transaction data with a field %s of its own", cut(name))
		}
		m[name] = v
	}
	b, err := strict.AppendJSON(nil, m)
	if err != nil {
		return TransactionData{}, fmt.Errorf("oid4vp: write transaction data: %w", err)
	}
	return parseTransactionData(strict.Base64URL(b), nil)
}

// ParseTransactionData reads transaction data as it travels; see
// [TransactionData.Encoded].
func ParseTransactionData(encoded string) (TransactionData, error) {
	return parseTransactionData(encoded, nil)
}

// Encoded is the transaction data as it travels, which is what the holder signs.
func (d TransactionData) Encoded() string { return d.encoded }

// parseTransactionData reads one string of transaction_data.
func parseTransactionData(encoded string, q *Query) (TransactionData, error) {
	bad := func(why string) (TransactionData, error) {
		return TransactionData{}, refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: %s", why)
	}
	if len(encoded) > dataLimits.Bytes*4/3+4 {
		return TransactionData{}, tooLarge("characters of transaction data", len(encoded), dataLimits.Bytes*4/3+4)
	}
	b, err := strict.DecodeBase64URL(encoded)
	if err != nil {
		return bad("not base64url")
	}
	v, err := dataLimits.Object(b)
	if err != nil {
		return bad("not a JSON object")
	}
	d := TransactionData{encoded: encoded, Fields: map[string]any{}}
	var ok bool
	if d.Type, ok = v.Get("type").Text(); !ok || d.Type == "" || len(d.Type) > maxText {
		return bad("no type")
	}
	if d.CredentialIDs, ok = credentialIDs(v.Get("credential_ids"), q); !ok {
		return bad("credential_ids that the query does not have")
	}
	if algs := v.Get(mHashesAlg); algs.Kind() != strict.None {
		if d.algs, ok = textList(algs, maxID); !ok || !slices.Contains(d.algs, sha256Name) {
			return bad("no hash algorithm that is supported here")
		}
	}
	for i := range v.Len() {
		switch name := v.Name(i); name {
		case "type", "credential_ids", mHashesAlg:
		default:
			d.Fields[name] = v.At(i).Any()
		}
	}
	for _, id := range d.CredentialIDs {
		// Section B.3.3: only a proof by the holder can carry it.
		if c := queryCredential(q, id); c != nil && c.Unbound {
			return bad("a credential that needs no proof by its holder")
		}
	}
	return d, nil
}

func queryCredential(q *Query, id string) *CredentialQuery {
	if q == nil {
		return nil
	}
	return q.Credential(id)
}

// hash is the hash over the text as it travels: it is not decoded first.
func (d *TransactionData) hash() string {
	sum := sha256.Sum256([]byte(d.encoded))
	return strict.Base64URL(sum[:])
}

func readTransactionData(v strict.Value, q *Query) ([]TransactionData, error) {
	switch {
	case v.Kind() == strict.None:
		return nil, nil
	case v.Kind() != strict.Array || v.Len() == 0:
		return nil, refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: empty or not an array")
	case v.Len() > maxTransaction:
		return nil, tooLarge("transaction data", v.Len(), maxTransaction)
	}
	var list []TransactionData
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		if !ok {
			return nil, refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: not a text")
		}
		d, err := parseTransactionData(s, q)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// A TransactionType checks the fields of transaction data of one type, all of them:
// unknown fields, too, are its to refuse (section 8.5). A wallet has one for each type
// that it can show to a person.
type TransactionType func(fields map[string]any) error

// Authorise says which of the chosen credentials authorises which transaction data
// of the request, by the place of the choice. Where several may, the first chosen one
// does, and no other (section 5.1). A transaction that none of them may authorise is
// [ErrTransactionData].
func (r *Request) Authorise(choices []Choice) (map[int][]TransactionData, error) {
	out := map[int][]TransactionData{}
	for _, d := range r.TransactionData {
		i := slices.IndexFunc(choices, func(c Choice) bool { return slices.Contains(d.CredentialIDs, c.Query) })
		if i < 0 {
			return nil, refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: no credential that may authorise it")
		}
		out[i] = append(out[i], d)
	}
	return out, nil
}

// TransactionClaims are the claims of a proof by the holder that authorises this
// transaction data; nil if there is none. They go into [sdjwt.Proof].
func TransactionClaims(data []TransactionData) map[string]any {
	if len(data) == 0 {
		return nil
	}
	var hashes []any
	named := false
	for i := range data {
		hashes = append(hashes, data[i].hash())
		named = named || data[i].algs != nil
	}
	claims := map[string]any{mHashes: hashes}
	if named {
		claims[mHashesAlg] = sha256Name
	}
	return claims
}

var proofLimits = strict.Limits{Bytes: 16 << 10, Depth: 8, Items: 256}

// Authorised holds the presentations of a response against the transaction data of
// the request: each was authorised by exactly one presentation that may, and no
// presentation authorises anything else. Presentations are SD-JWTs by credential
// query, and the caller has verified them, proofs by the holder included. The error
// is [ErrTransactionData].
func (r *Request) Authorised(presentations VPToken) error {
	bad := func(format string, args ...any) error {
		return refuse(InvalidTransactionData, ErrTransactionData, format, args...)
	}
	done := make([]int, len(r.TransactionData))
	for id, list := range presentations {
		for _, p := range list {
			hashes, named, err := proofHashes(p)
			if err != nil {
				return err
			}
			for _, h := range hashes {
				i := slices.IndexFunc(r.TransactionData, func(d TransactionData) bool {
					return slices.Contains(d.CredentialIDs, id) && subtle.ConstantTimeCompare([]byte(d.hash()), []byte(h)) == 1
				})
				if i < 0 {
					return bad("%s: the holder signed other transaction data", cut(id))
				}
				if r.TransactionData[i].algs != nil && !named {
					return bad("%s: no %s", cut(id), mHashesAlg)
				}
				done[i]++
			}
		}
	}
	for i, n := range done {
		if n != 1 {
			return bad("transaction data %d was authorised %d times", i, n)
		}
	}
	return nil
}

// proofHashes are the hashes in the proof by the holder of a presentation, and
// whether it names their algorithm.
func proofHashes(presentation string) (hashes []string, named bool, err error) {
	bad := func(why string) ([]string, bool, error) {
		return nil, false, refuse(InvalidTransactionData, ErrTransactionData, "proof by the holder: %s", why)
	}
	proof := presentation[strings.LastIndexByte(presentation, '~')+1:]
	if proof == "" {
		return nil, false, nil
	}
	m, err := jose.Inspect(proof, proofLimits.Bytes)
	if err != nil {
		return bad("malformed")
	}
	v, err := proofLimits.Object(m.Payload)
	if err != nil {
		return bad("malformed")
	}
	list, alg := v.Get(mHashes), v.Get(mHashesAlg)
	if list.Kind() == strict.None {
		return nil, false, nil
	}
	hashes, ok := textList(list, maxID)
	if !ok || len(hashes) > maxTransaction {
		return bad("hashes of transaction data that are no texts")
	}
	if alg.Kind() == strict.None {
		return hashes, false, nil
	}
	if name, _ := alg.Text(); name != sha256Name {
		return bad("another hash algorithm")
	}
	return hashes, true, nil
}
