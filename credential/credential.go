// Package credential holds the words that all credential formats share: what a
// checked credential says ([Verified], [Claim]), where its status stands
// ([StatusRef]), what a type of credential looks like ([Type]), and why one was
// refused ([Reason], [RejectedError]).
//
// Start with [Verified]. The formats themselves are packages below this one:
// credential/cwt for codes on paper and on phones, credential/sdjwt for wallets. They
// know neither registries nor HTTP, never import each other, and leave to others
// which issuers to trust (package trust) and what a result means for the person who
// asked (package verification).
package credential

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// A Format names an encoding of credentials.
type Format string

const (
	// FormatCWT is a CBOR Web Token as credential/cwt writes it: Claim 169 for
	// persons, an integer-keyed map of the type's own fields for the rest.
	FormatCWT Format = "cwt"
	// FormatHealthCert is the EU and WHO health certificate (HC1:), read only.
	FormatHealthCert Format = "hcert"
	// FormatSDJWT is an SD-JWT VC as credential/sdjwt writes it, with or without key
	// binding.
	FormatSDJWT Format = "dc+sd-jwt"
)

// A StatusRef says where the status of a credential is published: the entry
// Index of the Token Status List with this URI
// (draft-ietf-oauth-status-list-20, section 6).
type StatusRef struct {
	URI   string
	Index uint64
	// Beside: another mechanism stands beside the list. What it says is not known here, so
	// that the list alone ends a credential and does not clear it.
	Beside bool
}

// A Claim is one statement of a credential. Name is the standard or the type's
// own name for it. For a field of the type's own map Key is its integer key
// there, and Name is empty until a [Type] names it; formats whose claims have
// names give no keys. Value is a string, int64, bool, float64, []byte, []any or
// map[string]any, in formats of JSON also nil.
type Claim struct {
	Key   int64
	Name  string
	Value any
}

// Claims are the statements of one credential in the order of their keys.
type Claims []Claim

// LogValue says how many claims there are and nothing more, so that a claim
// never reaches a log.
func (c Claims) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%d claims", len(c))) }

// Verified is what a format package found in a credential whose signature it
// has checked. It is a statement about bytes and a key; whether the key's owner
// may say so, whether the status is good and what follows is decided by package
// verification.
type Verified struct {
	Format Format
	// Type is the credential type, such as "urn:xx:farmer:1"; empty where the
	// format names none (a bare Claim 169 code).
	Type string
	// Issuer is the identifier of the issuer as the credential states it.
	Issuer string
	// Key is the public key that the signature was made with.
	Key keys.PublicKey
	// KeyID is the kid as it stands in the credential, nil if it names none.
	KeyID []byte

	// IssuedAt, NotBefore and Expires are zero where the credential says
	// nothing. They are whole seconds in UTC.
	IssuedAt, NotBefore, Expires time.Time

	// Status is nil if the credential has no status reference.
	Status *StatusRef
	// Holder is the key the credential is bound to (cnf), nil for paper.
	Holder *keys.PublicKey
	// HolderProof is when the holder's key signed for this verifier and this
	// request. It is zero unless the format checked such a proof.
	HolderProof time.Time
	// KeyBinding is what the holder's key signed along with a CWT; nil if it was
	// shown without. The signature was checked, and nothing else: package verification
	// judges for whom and when it was made.
	KeyBinding *KeyBinding
	// Withheld is how many digests the holder disclosed nothing for. Decoys count, so
	// that it is the most that was left out.
	Withheld int

	// Person holds the Claim 169 attributes, Fields the type's own map, and
	// Health the content of a health certificate under the name "hcert".
	Person, Fields, Health Claims
	// Face is the inline portrait of Claim 169, nil if there is none.
	Face *Face
}

// A KeyBinding is what a holder's key signed along with a credential.
type KeyBinding struct {
	// Audience is for whom it was made.
	Audience string
	// IssuedAt, NotBefore and Expires are zero where it says nothing. They are whole
	// seconds in UTC, by the clock of the holder's device.
	IssuedAt, NotBefore, Expires time.Time
	// Nonce is the question that it answers, nil if it answers none.
	Nonce []byte
	// Digest is the SHA-256 of what the signature covers. Two presentations with one
	// digest are the same, however they were encoded or signed again.
	Digest [32]byte
}

// A Face is a small portrait carried inside a credential.
type Face struct {
	// Data is the picture, at most 4 KiB.
	Data []byte
	// MediaType is "image/jpeg", "image/jp2", "image/avif" or "image/webp".
	MediaType string
}
