package oid4vci

import (
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Configuration is one kind of credential that the issuer hands out.
type Configuration struct {
	ID string
	// Format is [SDJWTFormat] or [CWTFormat] for those that we carry. Of other formats only the
	// members that all have are read.
	Format string
	// Type is the vct.
	Type string
	// Scope asks for this credential in an authorization request; HAIP wants one.
	Scope string
	// SigningAlgorithms are those of the credential.
	SigningAlgorithms []string
	// Bindings are the ways to name the holder's key; none if there is no binding.
	Bindings []string
	// Proofs says for each proof type how it must be made. Of the ones a wallet reads
	// those that we do not know are left out.
	Proofs map[ProofType]ProofSupport
	// Display is the name of the credential, once for each language.
	Display []Display
	// Claims describe claims in the order in which they are shown.
	Claims []Claim
}

// ProofSupport is what an issuer wants of proofs of one type.
type ProofSupport struct {
	// Algorithms are those that the issuer accepts.
	Algorithms []keys.Algorithm
	// Attestation is what a key attestation must say; nil if none is needed.
	Attestation *AttestationNeeds
}

// AttestationNeeds says which attestations of keys suffice. An empty list takes
// every level, also none.
type AttestationNeeds struct {
	// KeyStorage and UserAuthentication are values of appendix D.2, such as
	// "iso_18045_high"; one of them must be attested.
	KeyStorage, UserAuthentication []string
}

// typed reports whether a format is one that we carry; their type stands in vct.
func typed(format string) bool { return format == SDJWTFormat || format == CWTFormat }

func (c Configuration) members() (map[string]any, error) {
	if !typed(c.Format) || c.Type == "" {
		return nil, fmt.Errorf("oid4vci: format %q with type %q, want %s or %s and a vct", c.Format, c.Type, SDJWTFormat, CWTFormat)
	}
	out := map[string]any{"format": c.Format, "vct": c.Type}
	put(out, "scope", c.Scope)
	putList(out, "credential_signing_alg_values_supported", c.SigningAlgorithms)
	// Section 12.2.4: both or neither.
	if (len(c.Bindings) > 0) != (len(c.Proofs) > 0) {
		return nil, errors.New("oid4vci: Bindings and Proofs belong together")
	}
	if len(c.Proofs) > 0 {
		putList(out, "cryptographic_binding_methods_supported", c.Bindings)
		proofs := map[string]any{}
		for name, p := range c.Proofs {
			if len(p.Algorithms) == 0 {
				return nil, fmt.Errorf("oid4vci: proof type %s without algorithms", name)
			}
			members := map[string]any{"proof_signing_alg_values_supported": anys(p.Algorithms)}
			if n := p.Attestation; n != nil {
				needs := map[string]any{}
				putList(needs, "key_storage", n.KeyStorage)
				putList(needs, "user_authentication", n.UserAuthentication)
				members["key_attestations_required"] = needs
			}
			proofs[string(name)] = members
		}
		out["proof_types_supported"] = proofs
	}
	about := map[string]any{}
	if err := putDisplay(about, c.Display); err != nil {
		return nil, err
	}
	var claims []any
	for _, claim := range c.Claims {
		members := map[string]any{"path": claim.Path}
		if claim.Mandatory {
			members["mandatory"] = true
		}
		if err := putDisplay(members, claim.Display); err != nil {
			return nil, err
		}
		claims = append(claims, members)
	}
	if claims != nil {
		about["claims"] = claims
	}
	if len(about) > 0 {
		out["credential_metadata"] = about
	}
	return out, nil
}

// readConfiguration reads member i of credential_configurations_supported.
func readConfiguration(all *object, i int) Configuration {
	in := all.element(all.v.At(i), "credential configuration")
	c := Configuration{
		ID:                all.v.Name(i),
		Format:            in.mustText("format", maxName),
		Scope:             in.text("scope", maxName),
		Bindings:          in.texts("cryptographic_binding_methods_supported", maxEntries, maxName),
		SigningAlgorithms: signingAlgorithms(in),
	}
	if c.ID == "" || len(c.ID) > maxName {
		in.fail(ErrMalformed, "a credential configuration without a usable id")
	}
	if typed(c.Format) {
		c.Type = in.mustText("vct", maxURL)
	}
	if proofs, ok := in.at("proof_types_supported"); ok {
		c.Proofs = map[ProofType]ProofSupport{}
		for _, name := range []ProofType{JWTProof, AttestationProof} {
			if p, ok := proofs.at(string(name)); ok {
				c.Proofs[name] = readProofSupport(p)
				proofs.join(p)
			}
		}
		in.join(proofs)
	}
	// Section 12.2.4: where keys are bound, there is a way to prove them. (Examples of
	// other formats in the text leave it out.)
	if typed(c.Format) && c.Bindings != nil && in.v.Get("proof_types_supported").Kind() == strict.None {
		in.fail(ErrMissing, "a credential configuration that binds keys and names no proof types")
	}
	if about, ok := in.at("credential_metadata"); ok {
		c.Display = readDisplay(about, true)
		c.Claims = readClaims(about)
		in.join(about)
	}
	all.join(in)
	return c
}

// signingAlgorithms reads names; other formats have numbers there.
func signingAlgorithms(in *object) []string {
	var list []string
	for _, v := range in.list("credential_signing_alg_values_supported", maxEntries) {
		if s, ok := v.Text(); ok && len(s) <= maxName {
			list = append(list, s)
		}
	}
	return list
}

func readProofSupport(in *object) ProofSupport {
	var s ProofSupport
	all := in.texts("proof_signing_alg_values_supported", maxEntries, maxName)
	in.need("proof_signing_alg_values_supported", all != nil)
	for _, name := range all {
		if alg, err := keys.ParseAlgorithm(name); err == nil {
			s.Algorithms = append(s.Algorithms, alg)
		}
	}
	if needs, ok := in.at("key_attestations_required"); ok {
		s.Attestation = &AttestationNeeds{
			KeyStorage:         needs.texts("key_storage", maxEntries, maxName),
			UserAuthentication: needs.texts("user_authentication", maxEntries, maxName),
		}
		in.join(needs)
	}
	return s
}
