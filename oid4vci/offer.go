package oid4vci

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/strict"
)

// MaxOffer is the most bytes of a credential offer.
const MaxOffer = 16 << 10

var offerLimits = strict.Limits{Bytes: MaxOffer, Depth: 12, Items: 1024}

// maxOffered is the most configurations in one offer.
const maxOffered = 64

// An Offer invites a wallet to fetch credentials (section 4.1.1). A wallet must not
// trust anything in it: it was not signed.
type Offer struct {
	// Issuer is the credential issuer identifier.
	Issuer string
	// Configurations are ids of credential configurations, at least one.
	Configurations []string
	// PreAuthorized and AuthorizationCode are the grants; either, both or none.
	PreAuthorized     *PreAuthorizedGrant
	AuthorizationCode *AuthorizationCodeGrant
}

// A PreAuthorizedGrant lets whoever has the code fetch the credentials.
type PreAuthorizedGrant struct {
	Code Secret
	// TxCode says that a transaction code is needed, too, and what it looks like; nil
	// if none is.
	TxCode *TxCodeInput
	// Server is the authorization server to use. Optional.
	Server string
}

// Format never shows the code.
func (PreAuthorizedGrant) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "pre-authorized grant")
}

// An AuthorizationCodeGrant has the person sign in.
type AuthorizationCodeGrant struct {
	// IssuerState goes into the authorization request as it is. Optional.
	IssuerState string
	// Server is the authorization server to use. Optional.
	Server string
}

// A TxCodeInput describes a transaction code to the wallet.
type TxCodeInput struct {
	// Mode is the alphabet; numeric if empty.
	Mode InputMode
	// Length is the number of characters; 0 if that is not said.
	Length int
	// Description tells the person where the code is found, at most 300 characters.
	Description string
}

// maxTxCode is the longest transaction code that we read or make.
const maxTxCode = 64

// JSON returns the offer object.
func (o Offer) JSON() ([]byte, error) {
	if o.Issuer == "" || len(o.Configurations) == 0 {
		return nil, fmt.Errorf("oid4vci: an offer without issuer or configurations")
	}
	m := map[string]any{"credential_issuer": o.Issuer, "credential_configuration_ids": anys(o.Configurations)}
	grants := map[string]any{}
	if g := o.PreAuthorized; g != nil {
		if g.Code == "" {
			return nil, fmt.Errorf("oid4vci: a pre-authorized grant without code")
		}
		grant := map[string]any{"pre-authorized_code": string(g.Code)}
		put(grant, "authorization_server", g.Server)
		if g.TxCode != nil {
			tx, err := g.TxCode.members()
			if err != nil {
				return nil, err
			}
			grant["tx_code"] = tx
		}
		grants[string(PreAuthorizedCode)] = grant
	}
	if g := o.AuthorizationCode; g != nil {
		grant := map[string]any{}
		put(grant, "issuer_state", g.IssuerState)
		put(grant, "authorization_server", g.Server)
		grants[string(AuthorizationCode)] = grant
	}
	if len(grants) > 0 {
		m["grants"] = grants
	}
	b, err := write(m)
	if err == nil && len(b) > MaxOffer {
		return nil, fmt.Errorf("%w: an offer of %d bytes", ErrTooLarge, len(b))
	}
	return b, err
}

func (t TxCodeInput) members() (map[string]any, error) {
	if utf8.RuneCountInString(t.Description) > 300 {
		return nil, fmt.Errorf("oid4vci: the description of a transaction code has more than 300 characters")
	}
	m := map[string]any{}
	put(m, "input_mode", t.Mode)
	put(m, "description", t.Description)
	if t.Length > 0 {
		m["length"] = t.Length
	}
	return m, nil
}

// Link returns the offer as a link by value. Begin is [OfferScheme] or the credential
// offer endpoint of a wallet, such as "https://wallet.example/offer".
func (o Offer) Link(begin string) (string, error) {
	b, err := o.JSON()
	if err != nil {
		return "", err
	}
	return link(begin, "credential_offer", string(b))
}

// ReferenceLink returns a link to an offer that is fetched from uri. It is what fits
// into a QR code.
func ReferenceLink(begin, uri string) (string, error) {
	if uri == "" {
		return "", fmt.Errorf("oid4vci: a reference to nowhere")
	}
	return link(begin, "credential_offer_uri", uri)
}

func link(begin, name, value string) (string, error) {
	if strings.ContainsAny(begin, "?#") || !strings.Contains(begin, "://") {
		return "", fmt.Errorf("%w: to begin a link with %s", ErrURL, cut(begin))
	}
	return begin + "?" + name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"), nil
}

// An OfferLink is what a link or a QR code held: the offer, or where it is fetched.
type OfferLink struct {
	Offer *Offer
	URI   string
}

// maxLink is the most bytes of a link: an offer by value with every byte escaped.
const maxLink = 3*MaxOffer + 256

// OfferLink reads a link with an offer by value or by reference (sections 4.1.2 and
// 4.1.3): [OfferScheme], [HAIPOfferScheme], or an https address, whose host and path
// are those of the wallet and are not looked at.
func (r Reader) OfferLink(link string) (*OfferLink, error) {
	if len(link) > maxLink {
		return nil, refuse(InvalidRequest, ErrTooLarge, "a link of %d bytes", len(link))
	}
	begin, query, ok := strings.Cut(link, "?")
	scheme, _, _ := strings.Cut(strings.ToLower(begin), "://")
	known := scheme+"://" == OfferScheme || scheme+"://" == HAIPOfferScheme
	if !strings.Contains(begin, "://") {
		return nil, refuse(InvalidRequest, ErrMalformed, "no link to a credential offer")
	}
	if !known {
		if _, err := r.address(begin); err != nil {
			return nil, refuse(InvalidRequest, ErrURL, "no link to a credential offer")
		}
	}
	if !ok {
		return nil, refuse(InvalidRequest, ErrMissing, "a link without a credential offer")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, refuse(InvalidRequest, ErrMalformed, "the query of the link")
	}
	f := readForm(values)
	inline, uri := f.text("credential_offer", MaxOffer), f.text("credential_offer_uri", maxURL)
	switch {
	case f.err != nil:
		return nil, f.err
	case inline != "" && uri != "":
		return nil, refuse(InvalidRequest, ErrConflict, "an offer by value and by reference")
	case uri != "":
		if _, err := r.address(uri); err != nil {
			return nil, refuse(InvalidRequest, ErrURL, "credential_offer_uri is no address that may be fetched")
		}
		return &OfferLink{URI: uri}, nil
	case inline == "":
		return nil, refuse(InvalidRequest, ErrMissing, "a link without a credential offer")
	}
	o, err := r.Offer([]byte(inline))
	if err != nil {
		return nil, err
	}
	return &OfferLink{Offer: o}, nil
}

// Offer reads an offer object.
func (r Reader) Offer(b []byte) (*Offer, error) {
	in := readObject(offerLimits, b, "credential offer", InvalidRequest)
	o := &Offer{
		Issuer:         in.mustText("credential_issuer", maxURL),
		Configurations: in.texts("credential_configuration_ids", maxOffered, maxName),
	}
	in.need("credential_configuration_ids", o.Configurations != nil)
	if in.err == nil && r.CheckIdentifier(o.Issuer) != nil {
		in.fail(ErrURL, "credential_issuer is no address that may be asked")
	}
	grants, _ := in.at("grants")
	if g, ok := grants.at(string(PreAuthorizedCode)); ok {
		o.PreAuthorized = &PreAuthorizedGrant{Code: Secret(g.mustText("pre-authorized_code", 4096)), Server: r.url(g, "authorization_server")}
		if tx, ok := g.at("tx_code"); ok {
			// Section 4.1.1: a code is needed if the object is there, even if it is empty.
			o.PreAuthorized.TxCode = readTxCode(tx)
			g.join(tx)
		}
		grants.join(g)
	}
	if g, ok := grants.at(string(AuthorizationCode)); ok {
		o.AuthorizationCode = &AuthorizationCodeGrant{IssuerState: g.text("issuer_state", 4096), Server: r.url(g, "authorization_server")}
		grants.join(g)
	}
	in.join(grants)
	if in.err != nil {
		return nil, in.err
	}
	return o, nil
}

func readTxCode(in *object) *TxCodeInput {
	t := &TxCodeInput{
		Mode:        InputMode(in.text("input_mode", 16)),
		Length:      int(in.number("length", 1, maxTxCode)),
		Description: in.text("description", 4*300),
	}
	switch t.Mode {
	case "":
		t.Mode = Numeric
	case Numeric, AnyText:
	default:
		in.fail(ErrUnsupported, "input_mode of the transaction code")
	}
	if utf8.RuneCountInString(t.Description) > 300 {
		in.fail(ErrTooLarge, "description of the transaction code has more than 300 characters")
	}
	return t
}
