package oid4vp

import (
	"net/url"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
)

// An Invocation is what calls a wallet: the parameters of a link or a QR code
// (sections 5.4 and 9). It says nothing reliable, except which client to expect.
type Invocation struct {
	// ClientID is the client that the request must come from.
	ClientID ClientID
	// RequestURI is where the request object is; "" if it is in Object, or if there is
	// none because the request is not signed.
	RequestURI string
	// Method is how the wallet is to fetch it; "" is as [Get].
	Method Method
	// Object is the request object by value.
	Object string

	params strict.Value // of an unsigned request
	raw    url.Values
}

// URL is the link that calls a wallet: base is a scheme such as [Scheme], or the
// address of a wallet.
func (i *Invocation) URL(base string) string {
	values := url.Values{pClientID: {i.ClientID.String()}}
	if i.raw != nil {
		values = i.raw
	}
	for name, v := range map[string]string{pRequestURI: i.RequestURI, pRequestURIMethod: string(i.Method), pRequest: i.Object} {
		if v != "" {
			values.Set(name, v)
		}
	}
	switch {
	case !strings.Contains(base, ":"):
		base += "://?"
	case strings.Contains(base, "?"):
		base += "&"
	default:
		base += "?"
	}
	return base + values.Encode()
}

// Unsigned is the invocation that carries the request itself, for a client with a
// redirect URI: nobody can know who made it.
func (r *Request) Unsigned() (*Invocation, error) {
	if err := r.checkOwn(); err != nil {
		return nil, err
	}
	if r.Client.ID.Signed() {
		return nil, refuse(InvalidRequest, ErrClient, "requests of this client must be signed")
	}
	m, err := r.object()
	if err != nil {
		return nil, err
	}
	values := url.Values{}
	for name, v := range m {
		s, ok := v.(string)
		if !ok {
			b, err := strict.AppendJSON(nil, v)
			if err != nil {
				return nil, err
			}
			s = string(b)
		}
		values.Set(name, s)
	}
	return &Invocation{ClientID: r.Client.ID, raw: values}, nil
}

// ParseInvocation reads a link or the text of a QR code, whatever its scheme: the
// parameters are in its query.
func ParseInvocation(link string) (*Invocation, error) {
	if len(link) > MaxInvocation {
		return nil, tooLarge("bytes of a link", len(link), MaxInvocation)
	}
	_, query, ok := strings.Cut(link, "?")
	if !ok {
		return nil, malformed("a link without parameters")
	}
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, malformed("the parameters of the link")
	}
	one, err := single(values)
	if err != nil {
		return nil, err
	}
	i := &Invocation{RequestURI: one[pRequestURI], Object: one[pRequest]}
	if i.ClientID, err = ParseClientID(one[pClientID]); err != nil {
		return nil, err
	}
	method, stated := one[pRequestURIMethod]
	switch i.Method = Method(method); {
	case stated && i.Method != Get && i.Method != Post:
		return nil, refuse(InvalidRequestURIMethod, ErrNotSupported, "request_uri_method %s", cut(method))
	case stated && i.RequestURI == "":
		return nil, malformed("request_uri_method: without request_uri") // section 5.1
	case i.RequestURI != "" && i.Object != "":
		return nil, malformed("request and request_uri") // RFC 9101 section 5
	case i.RequestURI == "" && i.Object == "":
		i.params, err = params(one)
		return i, err
	}
	if i.RequestURI != "" {
		if _, err := readURI(pRequestURI, i.RequestURI, true); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// single returns parameters of which each stands there once (RFC 6749 section 3.1).
func single(values url.Values) (map[string]string, error) {
	one := map[string]string{}
	for name, list := range values {
		if len(list) != 1 {
			return nil, malformed("%s: there %d times", cut(name), len(list))
		}
		one[name] = list[0]
	}
	return one, nil
}

// params are the parameters of a request in a link, in which objects are JSON
// (section 5.1).
func params(one map[string]string) (strict.Value, error) {
	var names []string
	var values []strict.Value
	for name, s := range one {
		var v strict.Value
		var err error
		switch name {
		case pQuery, pClientMetadata, pTransactionData, pVerifierInfo:
			v, err = requestLimits.JSONText(s)
		default:
			v, err = quoted(s)
		}
		if err != nil {
			return strict.Value{}, unread(name, err)
		}
		names, values = append(names, name), append(values, v)
	}
	return strict.NewObject(names, values), nil
}

// quoted is a text as a value.
func quoted(s string) (strict.Value, error) {
	b, err := strict.AppendText(nil, s)
	if err != nil {
		return strict.Value{}, err
	}
	return strict.Limits{Bytes: 6*MaxInvocation + 2, Depth: 1, Items: 1}.JSON(b)
}

// Form is what a wallet posts to the request URI (section 5.10): what it can do, and
// a fresh nonce that the request object must have. Either may be left out.
func (i *Invocation) Form(m *WalletMetadata, walletNonce string) (url.Values, error) {
	values := url.Values{}
	if m != nil {
		b, err := m.json()
		if err != nil {
			return nil, err
		}
		values.Set(pWalletMetadata, string(b))
	}
	if walletNonce != "" {
		values.Set(pWalletNonce, walletNonce)
	}
	return values, nil
}

// ParseRequestForm reads what a wallet posted to the request URI (section 5.10).
// Parameters that it does not know are passed over. The metadata are nil, and the
// nonce is "", if the wallet sent none. The nonce goes into [Request.WalletNonce].
func ParseRequestForm(form url.Values) (*WalletMetadata, string, error) {
	one, err := single(form)
	if err != nil {
		return nil, "", err
	}
	nonce, stated := one[pWalletNonce]
	if stated && (nonce == "" || len(nonce) > maxNonce || strings.ContainsFunc(nonce, func(r rune) bool { return r < ' ' || r > '~' })) {
		return nil, "", malformed("wallet_nonce: empty, too long or with characters that no nonce has")
	}
	metadata, stated := one[pWalletMetadata]
	if !stated {
		return nil, nonce, nil
	}
	m, err := parseWalletMetadata(metadata)
	return m, nonce, err
}
