package oid4vp

import (
	"fmt"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
)

// A VerifierInfo is something that a verifier adds about itself (section 5.11). What
// it proves depends on its format.
type VerifierInfo struct {
	Format string
	// Data is a string or a map[string]any.
	Data any
	// CredentialIDs are the credential queries that it is about; all if empty.
	CredentialIDs []string
}

// PolicyFormat is the format of a verifier_info that holds a [Policy].
const PolicyFormat = "urn:sanad:verifier-policy:1"

// A Policy is what a verifier promises the person before they agree: why it asks and
// how long it keeps what it gets. It travels as a verifier_info of [PolicyFormat]
// with an object as data:
//
//	{"format": "urn:sanad:verifier-policy:1",
//	 "data": {"client_id": "x509_hash:...", "name": {"en": "..."}, "purpose": {"en": "...", "bn": "..."},
//	          "retention_days": 0, "reference": "library-card/3"}}
//
// It is the verifier's own word, under the signature of the request; client_id binds
// it to that request, and a wallet takes it from a signed request only. Who vouches
// for the verifier is another matter ([Vouched]).
type Policy struct {
	// Name is what the verifier calls itself, by language (BCP 47). Optional.
	Name map[string]string
	// Purpose is why it asks, by language. It must be set.
	Purpose map[string]string
	// Retention is how long it keeps what it gets, in whole days: zero if nothing is
	// kept once the answer was used.
	Retention time.Duration
	// Reference names the policy and its version in the verifier's own books.
	// Optional.
	Reference string
}

const (
	maxLanguages = 64
	maxPurpose   = 1000 // bytes of a text of a policy
	day          = 24 * time.Hour
	maxRetention = 36500 // days
)

// Info is the policy as verifier_info of a request by this client.
func (p *Policy) Info(id ClientID) (VerifierInfo, error) {
	if len(p.Purpose) == 0 || p.Retention < 0 || p.Retention%day != 0 || p.Retention/day > maxRetention {
		return VerifierInfo{}, fmt.Errorf("oid4vp: a policy without purpose, or with a retention of %s", p.Retention)
	}
	data := map[string]any{"client_id": id.String(), "retention_days": int64(p.Retention / day)}
	for name, texts := range map[string]map[string]string{"name": p.Name, "purpose": p.Purpose} {
		if len(texts) == 0 {
			continue
		}
		m := map[string]any{}
		for language, text := range texts {
			m[language] = text
		}
		data[name] = m
	}
	if p.Reference != "" {
		data["reference"] = p.Reference
	}
	info := VerifierInfo{Format: PolicyFormat, Data: data}
	// What is not readable is not sent.
	b, err := strict.AppendJSON(nil, data)
	if err != nil {
		return VerifierInfo{}, fmt.Errorf("oid4vp: write policy: %w", err)
	}
	v, err := dataLimits.Object(b)
	if err == nil {
		_, err = readPolicy(v, id)
	}
	if err != nil {
		return VerifierInfo{}, fmt.Errorf("oid4vp: write policy: %w", err)
	}
	return info, nil
}

// readPolicy reads the data of a policy of this client.
func readPolicy(v strict.Value, id ClientID) (*Policy, error) {
	if client, _ := v.Get("client_id").Text(); client != id.String() {
		return nil, malformed("verifier_info: the policy of another client")
	}
	p := &Policy{}
	var err error
	if p.Purpose, err = readTexts(v.Get("purpose")); err != nil {
		return nil, err
	}
	if len(p.Purpose) == 0 {
		return nil, malformed("verifier_info: a policy without purpose")
	}
	if p.Name, err = readTexts(v.Get("name")); err != nil {
		return nil, err
	}
	days, ok := v.Get("retention_days").Int()
	if !ok || days < 0 || days > maxRetention {
		return nil, malformed("verifier_info: a policy without retention")
	}
	p.Retention = time.Duration(days) * day
	if ref := v.Get("reference"); ref.Kind() != strict.None {
		if p.Reference, ok = ref.Text(); !ok || len(p.Reference) > maxText {
			return nil, malformed("verifier_info: the reference of a policy")
		}
	}
	return p, nil
}

// readTexts reads texts by language.
func readTexts(v strict.Value) (map[string]string, error) {
	if v.Kind() == strict.None {
		return nil, nil
	}
	if v.Kind() != strict.Object || v.Len() > maxLanguages {
		return nil, malformed("verifier_info: texts of a policy")
	}
	texts := map[string]string{}
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		if !ok || s == "" || len(s) > maxPurpose || v.Name(i) == "" || len(v.Name(i)) > 64 {
			return nil, malformed("verifier_info: texts of a policy")
		}
		texts[v.Name(i)] = s
	}
	return texts, nil
}

// readInfos reads verifier_info. Formats that are not known are kept and may be
// passed over (section 5.11).
func readInfos(v strict.Value, q *Query) ([]VerifierInfo, error) {
	switch {
	case v.Kind() == strict.None:
		return nil, nil
	case v.Kind() != strict.Array || v.Len() == 0:
		return nil, malformed("verifier_info: empty or not an array")
	case v.Len() > maxInfo:
		return nil, tooLarge("verifier infos", v.Len(), maxInfo)
	}
	var infos []VerifierInfo
	for i := range v.Len() {
		one := v.At(i)
		format, ok := one.Get("format").Text()
		data := one.Get("data")
		if one.Kind() != strict.Object || !ok || format == "" || data.Kind() != strict.Object && data.Kind() != strict.Text {
			return nil, malformed("verifier_info[%d]: no format or no data", i)
		}
		info := VerifierInfo{Format: format, Data: data.Any()}
		if ids := one.Get("credential_ids"); ids.Kind() != strict.None {
			if info.CredentialIDs, ok = credentialIDs(ids, q); !ok {
				return nil, malformed("verifier_info[%d]: credential_ids that the query does not have", i)
			}
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// credentialIDs reads a list of ids that the query must have. Without a query, for a
// request by scope, any will do.
func credentialIDs(v strict.Value, q *Query) ([]string, bool) {
	ids, ok := textList(v, maxID)
	if !ok || len(ids) > maxCredentials {
		return nil, false
	}
	for _, id := range ids {
		if !isID(id) || q != nil && q.Credential(id) == nil {
			return nil, false
		}
	}
	return ids, true
}

func infosArray(infos []VerifierInfo) []any {
	var out []any
	for _, info := range infos {
		m := map[string]any{"format": info.Format, "data": info.Data}
		if len(info.CredentialIDs) > 0 {
			m["credential_ids"] = anys(info.CredentialIDs)
		}
		out = append(out, m)
	}
	return out
}
