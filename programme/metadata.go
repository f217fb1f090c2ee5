package programme

import (
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
)

// TypeMetadata describes the wallet form with this name as SD-JWT VC section 5 wants
// it, for wallets and verifiers that look it up under its vct: the names of the type
// and of its claims in every language, which claims every credential has, and which
// the holder can leave out. It panics if the programme has no such wallet form, or one of another kind.
//
// The same programme gives the same bytes each time, since credentials state their
// hash (vct#integrity).
func (p *Programme) TypeMetadata(form string) ([]byte, error) {
	f, ok := p.Form(form)
	if !ok || f.Kind != FormSDJWT {
		panic(fmt.Sprintf("programme: internal error: %s has no SD-JWT VC %q", p.ID, form))
	}
	claims := []any{}
	for _, object := range p.objects(f) {
		sd := "never"
		if p.hidesObject(f, object) {
			sd = "always"
		}
		claims = append(claims, map[string]any{"path": (&Claim{Name: object}).Path(), "sd": sd})
	}
	for _, i := range f.carried {
		c := &p.Claims[i]
		sd := "always"
		if slices.Contains(f.Shown, c.Name) {
			sd = "never"
		}
		claims = append(claims, map[string]any{
			"path": c.Path(), "sd": sd, "mandatory": c.Required, "display": display("label", c.Labels, p.Languages),
		})
	}
	b, err := strict.AppendJSON(nil, map[string]any{
		"vct": f.VCT, "display": display("name", p.Labels, p.Languages), "claims": claims,
	})
	if err != nil {
		return nil, fmt.Errorf("type metadata of %s: %w", p.ID, err)
	}
	if len(b) > sdjwt.MaxMetadata {
		return nil, fmt.Errorf("type metadata of %s: %d bytes, at most %d", p.ID, len(b), sdjwt.MaxMetadata)
	}
	return b, nil
}

// display is a text in each of these languages under this name.
func display(name string, texts map[string]string, languages []string) []any {
	list := make([]any, 0, len(languages))
	for _, tag := range languages {
		if texts[tag] != "" {
			list = append(list, map[string]any{"locale": tag, name: texts[tag]})
		}
	}
	return list
}
