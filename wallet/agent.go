package wallet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/trust"
)

// A Sender sends one request and returns the answer whatever its status. It follows
// no redirect but to status lists, sends no cookies and asks nothing inside of a network.
// Its error means that there was no answer; it never holds a whole address.
type Sender interface {
	Send(ctx context.Context, r Request) (Answer, error)
}

// A Request is what a Sender sends: a POST if it has a content type, else a GET.
type Request struct {
	// Address is where it goes. The wallet has looked at its form.
	Address string
	// Type is the content type of the body.
	Type string
	// Accept is the media types that the answer may have, "" for any.
	Accept string
	// Header are further header fields.
	Header map[string]string
	Body   []byte
	// MaxBytes is the greatest length of an answer.
	MaxBytes int64
	// Document says that this is a document for everybody: an answer that was kept will
	// do, as long as the server said that it may be kept.
	Document bool
	// StatusList says that this is a status list for everybody: a few redirects to it are
	// followed, since its signature says whose it is (Token Status List section 8.2), and an
	// answer that was kept will do for as long as the token in it says (status.FreshJWT). A
	// Sender that cannot do that asks anew and follows none.
	StatusList bool
}

// An Answer is what came back.
type Answer struct {
	Status int
	// Type is the content type.
	Type   string
	Header map[string][]string
	Body   []byte
}

// header is the first value of a header field, whatever the case of its name.
func (a Answer) header(name string) string {
	for n, values := range a.Header {
		if strings.EqualFold(n, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// Config is what an Agent needs. Fields without "optional" must be set.
type Config struct {
	Wallet Keeper
	Sender Sender
	// Keys makes the keys that credentials are bound to, and signs with them. Optional;
	// [SoftwareKeys], but for a browser, where it must be set.
	Keys Keyring
	// Trust is the trust bundle: the issuers and verifiers that it names are known.
	// Optional.
	Trust *trust.Bundle
	// Roots are those under which issuers and verifiers have certificates. Optional.
	Roots []Root
	// UnknownIssuers also takes credentials of issuers that neither the bundle nor a
	// certificate vouches for. Optional.
	UnknownIssuers bool
	// ClientID is what the wallet calls itself in the authorization code flow.
	// Optional; [DefaultClientID] if empty.
	ClientID string
	// Copies is how many copies of a credential are asked for where the issuer hands
	// out several. Optional; 4 if zero.
	Copies int
	// Language is the one in which the person is asked: the log has a verifier's purpose
	// as it was shown. Optional; English.
	Language i18n.Language
	// LoopbackHTTP also takes http addresses of this machine. It is for development.
	LoopbackHTTP bool
	// Now is the clock, and Rand the source of randomness. Optional; the system's.
	Now  func() time.Time
	Rand io.Reader
}

// DefaultClientID is what this program calls itself to authorization servers.
const DefaultClientID = "sanad-wallet-cli"

// defaultCopies is how many copies are asked for if nobody says.
const defaultCopies = 4

// An Agent obtains and presents credentials for the holder. Whoever drives it shows
// what it returns to the person and goes on only with their consent. It must be used
// by one goroutine.
type Agent struct {
	cfg    Config
	reader oid4vci.Reader
}

// NewAgent returns an Agent.
func NewAgent(c Config) (*Agent, error) {
	switch {
	case c.Wallet == nil:
		return nil, errors.New("wallet: Config.Wallet is not set")
	case c.Sender == nil:
		return nil, errors.New("wallet: Config.Sender is not set")
	}
	if c.Keys == nil {
		if c.Keys = defaultKeys(); c.Keys == nil {
			return nil, errors.New("wallet: Config.Keys is not set")
		}
	}
	if c.ClientID == "" {
		c.ClientID = DefaultClientID
	}
	if c.Copies <= 0 {
		c.Copies = defaultCopies
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return &Agent{cfg: c, reader: oid4vci.Reader{LoopbackHTTP: c.LoopbackHTTP}}, nil
}

// now is the time in whole seconds.
func (a *Agent) now() time.Time { return a.cfg.Now().UTC().Truncate(time.Second) }

// A Party is an issuer or a verifier as far as it is known.
type Party struct {
	// ID is how it names itself: an address or a client identifier.
	ID string `json:"id"`
	// Names is its name by language, on the word of whoever vouches for it. Said is
	// what it calls itself: nobody else says so.
	Names map[string]string `json:"names,omitempty"`
	Said  map[string]string `json:"says,omitempty"`
	// Vouched says who vouches for it.
	Vouched Voucher `json:"vouched"`
	// Anchor names the one who does, "" if nobody does.
	Anchor string `json:"anchor,omitempty"`
}

// A Voucher is a way in which a party is known.
type Voucher string

// The ways.
const (
	ByBundle      Voucher = "bundle"      // the trust bundle names it
	ByCertificate Voucher = "certificate" // it has a certificate under one of the roots
	ByNobody      Voucher = "nobody"      // it is only what it says of itself
)

// A Refusal says why the wallet does not go on. The set is closed: each has a
// hint for people in cmd/wallet-cli and a test that provokes it.
type Refusal string

// The refusals: first those of both protocols, then those of obtaining, then those
// of presenting.
const (
	// BadLink: not a link that a wallet can use.
	BadLink Refusal = "bad_link"
	// UnsafeAddress: an address that is not https, or that no server may have.
	UnsafeAddress Refusal = "unsafe_address"
	// BadMessage: the other side answered with something that is not what the protocol wants.
	BadMessage Refusal = "bad_message"
	// PeerRefused: the other side refused.
	PeerRefused Refusal = "peer_refused"

	// OtherIssuer: metadata speak for another issuer or server than the one asked.
	OtherIssuer Refusal = "other_issuer"
	// MetadataSigner: signed metadata whose signer nobody vouches for.
	MetadataSigner Refusal = "metadata_signer"
	// UnknownIssuer: nobody vouches for the issuer.
	UnknownIssuer Refusal = "unknown_issuer"
	// NotUsable: nothing is offered that this wallet can hold.
	NotUsable Refusal = "not_usable"
	// WeakServer: the authorization server lacks what keeps tokens from being stolen.
	WeakServer Refusal = "weak_server"
	// NeedsTxCode: a transaction code is needed, what was given cannot be it by what the
	// offer says of it, or one was given and none is asked for.
	NeedsTxCode Refusal = "needs_tx_code"
	// NeedsSignIn: only who signs in at the issuer gets it.
	NeedsSignIn Refusal = "needs_sign_in"
	// OtherAnswer: the browser came back with the answer to another request, or from
	// another server.
	OtherAnswer Refusal = "other_answer"
	// NotAsIssued: what came is no credential as issuers hand them out.
	NotAsIssued Refusal = "not_as_issued"
	// OtherKey: a credential that is not bound to the wallet's key.
	OtherKey Refusal = "other_key"
	// OtherType: a credential of another type than was asked for.
	OtherType Refusal = "other_type"
	// OtherCredentialIssuer: a credential of somebody else than the issuer asked.
	OtherCredentialIssuer Refusal = "other_credential_issuer"
	// BadSignature: a credential that no key of its issuer has signed.
	BadSignature Refusal = "bad_signature"
	// BadDates: a credential that has expired or is of the future.
	BadDates Refusal = "bad_dates"
	// BadType: the description of the type does not belong to the credential.
	BadType Refusal = "bad_type"

	// UnsignedRequest: nobody can know who made the request.
	UnsignedRequest Refusal = "unsigned_request"
	// ForgedRequest: the request is not by the verifier that it names.
	ForgedRequest Refusal = "forged_request"
	// UnknownVerifier: nobody vouches for the name that the verifier gives.
	UnknownVerifier Refusal = "unknown_verifier"
	// OldRequest: the request has expired, or is of the future.
	OldRequest Refusal = "old_request"
	// OtherWallet: the request was made for another wallet or is an answer to another.
	OtherWallet Refusal = "other_wallet"
	// OtherAddress: the answer would go where the verifier does not receive answers.
	OtherAddress Refusal = "other_address"
	// PlainAnswer: the answer would not be encrypted.
	PlainAnswer Refusal = "plain_answer"
	// OverAsking: a registered verifier asks for more than it is registered for.
	OverAsking Refusal = "over_asking"
	// NothingToShow: no credential in the wallet answers the request.
	NothingToShow Refusal = "nothing_to_show"
	// Expired: the credentials of the type that is asked for are out of their dates.
	Expired Refusal = "expired"
	// Revoked: the issuer's list says that the credential does not stand any more.
	Revoked Refusal = "revoked"
	// Suspended: the issuer's list says that the credential does not stand at present.
	Suspended Refusal = "suspended"
	// NotACard: only cards can be shown as live codes.
	NotACard Refusal = "not_a_card"
	// BadChoice: what was chosen is not what was asked for.
	BadChoice Refusal = "bad_choice"
)

// Refusals is every refusal, for the test that provokes each of them.
func Refusals() []Refusal {
	return []Refusal{
		BadLink, UnsafeAddress, BadMessage, PeerRefused,
		OtherIssuer, MetadataSigner, UnknownIssuer, NotUsable, WeakServer, NeedsTxCode, NeedsSignIn, OtherAnswer, NotAsIssued, OtherKey,
		OtherType, OtherCredentialIssuer, BadSignature, BadDates, BadType,
		UnsignedRequest, ForgedRequest, UnknownVerifier, OldRequest, OtherWallet, OtherAddress, PlainAnswer, OverAsking, NothingToShow, NotACard, Expired, Revoked, Suspended,
		BadChoice,
	}
}

// A RefusedError is a decision of the wallet not to go on. Every other error means
// that it could not.
type RefusedError struct {
	Reason Refusal
	// Detail is for whoever looks closer, in English. It holds no claim and no secret.
	Detail string

	err error
}

// Error returns reason and detail.
func (e *RefusedError) Error() string {
	if e.Detail == "" {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Detail
}

// Unwrap returns what led to it.
func (e *RefusedError) Unwrap() error { return e.err }

func refuse(r Refusal, format string, args ...any) error {
	return &RefusedError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// because is a refusal for what another package found.
func because(r Refusal, err error) error {
	return &RefusedError{Reason: r, Detail: err.Error(), err: err}
}

// ErrNoAnswer: the other side could not be asked, or says that it cannot answer now. It
// has decided nothing: the same question may be asked again.
var ErrNoAnswer = errors.New("wallet: no answer")

// send sends a request to an address that may be asked.
func (a *Agent) send(ctx context.Context, r Request) (Answer, error) {
	if err := a.mayAsk(r.Address); err != nil {
		return Answer{}, err
	}
	answer, err := a.cfg.Sender.Send(ctx, r)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if answer.Status >= 500 || answer.Status == 408 || answer.Status == 429 {
		return answer, fmt.Errorf("%w: status %d", ErrNoAnswer, answer.Status)
	}
	if int64(len(answer.Body)) > r.MaxBytes {
		return Answer{}, refuse(BadMessage, "an answer of more than %d bytes", r.MaxBytes)
	}
	return answer, nil
}

// mayAsk refuses what is no address of a server: corpus VCI-16.
func (a *Agent) mayAsk(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(address, "#") {
		return refuse(UnsafeAddress, "not an address of a server")
	}
	if u.Scheme == "https" || u.Scheme == "http" && a.cfg.LoopbackHTTP && loopback(u.Hostname()) {
		return nil
	}
	return refuse(UnsafeAddress, "%s at %s", u.Scheme, u.Hostname())
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// document gets a document with status 200.
func (a *Agent) document(ctx context.Context, address, accept string, most int64) (Answer, error) {
	return a.get(ctx, Request{Address: address, Accept: accept, MaxBytes: most, Document: true})
}

// get sends a request for a document, which has status 200 and one of the media types that are
// asked for.
func (a *Agent) get(ctx context.Context, r Request) (Answer, error) {
	answer, err := a.send(ctx, r)
	if err != nil {
		return answer, err
	}
	if answer.Status != 200 {
		return answer, refuse(BadMessage, "status %d where a document was expected", answer.Status)
	}
	if !accepted(r.Accept, answer.Type) {
		return answer, refuse(BadMessage, "%.40q in place of %s", mediaType(answer.Type), r.Accept)
	}
	return answer, nil
}

// accepted reports whether a content type is one of those that were asked for.
func accepted(accept, contentType string) bool {
	for one := range strings.SplitSeq(accept, ",") {
		if mediaType(one) == mediaType(contentType) {
			return true
		}
	}
	return accept == ""
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}
