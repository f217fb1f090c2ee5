package oid4vp

import (
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
)

// FormatMDoc is the format identifier of ISO/IEC 18013-5 mdocs (section B.2).
const FormatMDoc credential.Format = "mso_mdoc"

// A Query says which credentials a verifier asks for (DCQL, section 6).
type Query struct {
	// Credentials are what is asked for, by id.
	Credentials []CredentialQuery
	// Sets say which of them together are enough. Without sets all are asked for.
	Sets []CredentialSet
}

// A CredentialQuery asks for one credential, or several of one kind (section 6.1).
type CredentialQuery struct {
	// ID names the query in the response: letters, digits, _ and -.
	ID string
	// Format is the format of the credential.
	Format credential.Format
	// Types are the types that will do: vct_values for dc+sd-jwt, the one
	// doctype_value for mso_mdoc, and nothing for other formats.
	Types []string
	// Meta is the meta of a format that is not known here, as it came.
	Meta map[string]any
	// Multiple says that several credentials may be returned.
	Multiple bool
	// Authorities are conditions on who certified the issuer, of which one must hold.
	// None means no condition.
	Authorities []Authority
	// Unbound says that a presentation without proof by the holder's key will do
	// (require_cryptographic_holder_binding is false).
	Unbound bool
	// Claims are the claims asked for. None means that nothing which can be left out
	// is asked for.
	Claims []ClaimQuery
	// ClaimSets are combinations of claims by their ids, the preferred one first.
	// None means all claims.
	ClaimSets [][]string
}

// A ClaimQuery asks for the claims at one path (section 6.3).
type ClaimQuery struct {
	// ID names the claim in claim sets. Optional without them.
	ID string
	// Path points at the claims.
	Path sdjwt.Path
	// Values are the values that will do: string, int64 or bool. None means any.
	Values []any
}

// A CredentialSet is a purpose and the sets of credentials that serve it (section
// 6.2).
type CredentialSet struct {
	// Options are sets of credential queries by id, of which one is enough.
	Options [][]string
	// Optional says that the verifier can do without.
	Optional bool
	// Purpose is a word to the person. The final text has no such member, drafts had,
	// and readers that do not know it pass over it; see [Policy] for the purpose of a
	// request.
	Purpose string
}

// An AuthorityType is a kind of condition on who certified an issuer (section
// 6.1.1).
type AuthorityType string

// The kinds. A kind that is not known here is read and never holds.
const (
	// AKI: the key identifier of an authority in the credential's certificate chain,
	// in base64url.
	AKI AuthorityType = "aki"
	// ETSITrustedList: the address of a trusted list.
	ETSITrustedList AuthorityType = "etsi_tl"
	// OpenIDFederation: the identifier of an entity of a federation.
	OpenIDFederation AuthorityType = "openid_federation"
)

// An Authority names who certified an issuer, by one of several values.
type Authority struct {
	Type   AuthorityType
	Values []string
}

// Credential returns the credential query with this id, nil if there is none.
func (q *Query) Credential(id string) *CredentialQuery {
	for i := range q.Credentials {
		if q.Credentials[i].ID == id {
			return &q.Credentials[i]
		}
	}
	return nil
}

// Unbound reports whether a presentation without proof by the holder is asked for,
// so that the request needs a state (section 5.3).
func (q *Query) Unbound() bool {
	return slices.ContainsFunc(q.Credentials, func(c CredentialQuery) bool { return c.Unbound })
}

// ParseQuery reads a DCQL query. Members that it does not know are passed over, as
// section 6 wants; everything else that the section forbids is refused with
// [InvalidRequest] and [ErrQuery].
func ParseQuery(b []byte) (*Query, error) {
	v, err := queryLimits.JSON(b)
	if err != nil {
		return nil, unread("dcql_query", err)
	}
	return readQuery(v)
}

// badQuery is a refusal of a query; where says which part of it.
func badQuery(where, format string, args ...any) *Error {
	return refuse(InvalidRequest, ErrQuery, "dcql_query%s: %s", where, fmt.Sprintf(format, args...))
}

func readQuery(v strict.Value) (*Query, error) {
	if v.Kind() != strict.Object {
		return nil, badQuery("", "not an object")
	}
	list, err := objects(v, "", "credentials", maxCredentials, true)
	if err != nil {
		return nil, err
	}
	q := &Query{}
	for i, item := range list {
		c, err := readCredentialQuery(item, fmt.Sprintf(".credentials[%d]", i))
		if err != nil {
			return nil, err
		}
		q.Credentials = append(q.Credentials, c)
	}
	if list, err = objects(v, "", "credential_sets", maxSets, false); err != nil {
		return nil, err
	}
	for i, item := range list {
		s, err := readCredentialSet(item, fmt.Sprintf(".credential_sets[%d]", i))
		if err != nil {
			return nil, err
		}
		q.Sets = append(q.Sets, s)
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	return q, nil
}

func readCredentialQuery(v strict.Value, where string) (CredentialQuery, error) {
	var c CredentialQuery
	var err error
	if c.ID, err = text(v, where, "id", maxID); err != nil {
		return c, err
	}
	format, err := text(v, where, "format", maxID)
	if err != nil {
		return c, err
	}
	c.Format = credential.Format(format)
	if err := c.readMeta(v.Get("meta"), where+".meta"); err != nil {
		return c, err
	}
	if c.Multiple, err = flag(v, where, "multiple", false); err != nil {
		return c, err
	}
	bound, err := flag(v, where, "require_cryptographic_holder_binding", true)
	if err != nil {
		return c, err
	}
	c.Unbound = !bound
	list, err := objects(v, where, "trusted_authorities", maxValues, false)
	if err != nil {
		return c, err
	}
	for i, item := range list {
		at := fmt.Sprintf("%s.trusted_authorities[%d]", where, i)
		kind, err := text(item, at, "type", maxID)
		if err != nil {
			return c, err
		}
		values, err := texts(item, at, "values", maxValues, maxURI)
		if err != nil {
			return c, err
		}
		c.Authorities = append(c.Authorities, Authority{AuthorityType(kind), values})
	}
	if list, err = objects(v, where, "claims", maxClaims, false); err != nil {
		return c, err
	}
	for i, item := range list {
		claim, err := readClaimQuery(item, fmt.Sprintf("%s.claims[%d]", where, i))
		if err != nil {
			return c, err
		}
		c.Claims = append(c.Claims, claim)
	}
	c.ClaimSets, err = idSets(v, where, "claim_sets", maxSets, maxClaims, false)
	return c, err
}

// readMeta reads the meta of the formats that are known here (sections B.2.3 and
// B.3.5) and keeps that of others.
func (c *CredentialQuery) readMeta(v strict.Value, where string) error {
	if v.Kind() != strict.Object {
		return badQuery(where, "missing or not an object")
	}
	var err error
	switch c.Format {
	case credential.FormatSDJWT:
		c.Types, err = texts(v, where, "vct_values", maxValues, maxURI)
	case FormatMDoc:
		var doctype string
		if doctype, err = text(v, where, "doctype_value", maxURI); err == nil {
			c.Types = []string{doctype}
		}
	default:
		c.Meta, _ = v.Any().(map[string]any)
	}
	return err
}

func readClaimQuery(v strict.Value, where string) (ClaimQuery, error) {
	var c ClaimQuery
	var err error
	if v.Get("id").Kind() != strict.None {
		if c.ID, err = text(v, where, "id", maxID); err != nil {
			return c, err
		}
	}
	path := v.Get("path")
	if path.Kind() != strict.Array || path.Len() == 0 {
		return c, badQuery(where+".path", "missing, empty or not an array")
	}
	if path.Len() > maxSteps {
		return c, tooLarge("steps of a path", path.Len(), maxSteps)
	}
	for i := range path.Len() {
		step, err := readStep(path.At(i))
		if err != nil {
			return c, badQuery(fmt.Sprintf("%s.path[%d]", where, i), "%v", err)
		}
		c.Path = append(c.Path, step)
	}
	values := v.Get("values")
	if values.Kind() == strict.None {
		return c, nil
	}
	if values.Kind() != strict.Array || values.Len() == 0 {
		return c, badQuery(where+".values", "empty or not an array")
	}
	if values.Len() > maxValues {
		return c, tooLarge("values of a claim", values.Len(), maxValues)
	}
	for i := range values.Len() {
		c.Values = append(c.Values, values.At(i).Any())
	}
	return c, nil
}

// readStep reads one step of a claims path pointer (section 7).
func readStep(v strict.Value) (any, error) {
	switch v.Kind() {
	case strict.Null:
		return nil, nil
	case strict.Text:
		s, _ := v.Text()
		return s, nil
	case strict.Int:
		if n, _ := v.Int(); n >= 0 && n <= 1<<31-1 {
			return int(n), nil
		}
		return nil, fmt.Errorf("an index that no array has")
	}
	return nil, fmt.Errorf("neither text, null nor a whole number")
}

func readCredentialSet(v strict.Value, where string) (CredentialSet, error) {
	var s CredentialSet
	required, err := flag(v, where, "required", true)
	if err != nil {
		return s, err
	}
	s.Optional = !required
	if s.Options, err = idSets(v, where, "options", maxOptions, maxCredentials, true); err != nil {
		return s, err
	}
	// Not a member of the final text: what is no text is passed over.
	if purpose, ok := v.Get("purpose").Text(); ok && len(purpose) <= maxText {
		s.Purpose = purpose
	}
	return s, nil
}

// text returns a member that must be a text and not empty.
func text(v strict.Value, where, name string, most int) (string, error) {
	s, ok := v.Get(name).Text()
	switch {
	case !ok || s == "":
		return "", badQuery(where+"."+name, "missing, empty or not a text")
	case len(s) > most:
		return "", tooLarge("bytes of "+name, len(s), most)
	}
	return s, nil
}

// texts returns a member that must be a list of texts and not empty.
func texts(v strict.Value, where, name string, most, mostBytes int) ([]string, error) {
	list, ok := textList(v.Get(name), mostBytes)
	switch {
	case !ok:
		return nil, badQuery(where+"."+name, "missing, empty or not an array of texts")
	case len(list) > most:
		return nil, tooLarge("elements of "+name, len(list), most)
	}
	return list, nil
}

// textList reads an array of texts, none of them empty; ok is false for an empty
// one, too.
func textList(v strict.Value, mostBytes int) (list []string, ok bool) {
	if v.Kind() != strict.Array || v.Len() == 0 {
		return nil, false
	}
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		if !ok || s == "" || len(s) > mostBytes {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

func flag(v strict.Value, where, name string, absent bool) (bool, error) {
	m := v.Get(name)
	switch m.Kind() {
	case strict.None:
		return absent, nil
	case strict.Bool:
		return m.Any() == true, nil
	}
	return false, badQuery(where+"."+name, "neither true nor false")
}

// objects returns the elements of a member that is an array of objects and not
// empty.
func objects(v strict.Value, where, name string, most int, required bool) ([]strict.Value, error) {
	m := v.Get(name)
	switch {
	case m.Kind() == strict.None && !required:
		return nil, nil
	case m.Kind() != strict.Array || m.Len() == 0:
		return nil, badQuery(where+"."+name, "missing, empty or not an array")
	case m.Len() > most:
		return nil, tooLarge("elements of "+name, m.Len(), most)
	}
	list := make([]strict.Value, m.Len())
	for i := range list {
		if list[i] = m.At(i); list[i].Kind() != strict.Object {
			return nil, badQuery(fmt.Sprintf("%s.%s[%d]", where, name, i), "not an object")
		}
	}
	return list, nil
}

// idSets returns a member that is an array of arrays of ids, neither empty.
func idSets(v strict.Value, where, name string, most, mostIDs int, required bool) ([][]string, error) {
	m := v.Get(name)
	switch {
	case m.Kind() == strict.None && !required:
		return nil, nil
	case m.Kind() != strict.Array || m.Len() == 0:
		return nil, badQuery(where+"."+name, "missing, empty or not an array")
	case m.Len() > most:
		return nil, tooLarge("elements of "+name, m.Len(), most)
	}
	var sets [][]string
	for i := range m.Len() {
		ids, ok := textList(m.At(i), maxID)
		switch {
		case !ok:
			return nil, badQuery(fmt.Sprintf("%s.%s[%d]", where, name, i), "empty or not an array of ids")
		case len(ids) > mostIDs:
			return nil, tooLarge("ids of a set", len(ids), mostIDs)
		}
		sets = append(sets, ids)
	}
	return sets, nil
}
