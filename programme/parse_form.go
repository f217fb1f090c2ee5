package programme

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/credential/sdjwt"
)

// Words for what a holder may leave out of a wallet form.
const (
	shownAlways = "always" // shown whenever the credential is; also if nothing is said of a card
	shownChosen = "hidden" // shown if the holder agrees; also if nothing is said of an SD-JWT VC
	shownNever  = "never"  // not in the wallet form at all
)

// disclosedAt is what the file says of one claim of a wallet form.
type disclosedAt struct {
	at   at
	name string
	word string
}

const (
	// maxDecoys is the most decoys of a form: more only make it longer.
	maxDecoys = 32
	// maxCardDecoys is the same for a card, whose decoys are shown on a screen.
	maxCardDecoys = 16
	// liveVersion is the largest version of a live code that cameras read off a phone.
	liveVersion = 20
)

func (f *file) readForms(n *yaml.Node, path string) {
	f.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		if !idPattern.MatchString(key) || len(key) > 16 {
			f.fault(k, path, "%q is not a name of lower-case letters and digits such as qr or strip", clip(key))
			return
		}
		form, where := f.readForm(key, v, path)
		where.at = at{k, path}
		f.p.Forms, f.forms = append(f.p.Forms, form), append(f.forms, where)
	})
	switch {
	case len(f.p.Forms) == 0:
		f.fault(n, path, "needs at least one form, such as qr")
	case len(f.p.Forms) > 8:
		f.fault(n, path, "has more than eight forms")
	}
}

// readForm reads one form. Which keys it may have depends on its kind, wherever
// that stands.
func (f *file) readForm(name string, n *yaml.Node, path string) (Form, formAt) {
	form := Form{Name: name, Kind: FormQR, Level: "M"}
	where := formAt{all: true}
	claims := field{"claims", false, func(n *yaml.Node, path string) {
		where.all = false
		f.list(n, path, false, func(n *yaml.Node, path string) { where.names = append(where.names, at{n, path}) })
	}}
	kind := field{"kind", false, func(n *yaml.Node, path string) {}}
	for k, v := range pairs(n) {
		if n.Kind == yaml.MappingNode && k.Value == kind.key {
			form.Kind = f.choice(v, join(path, kind.key), FormQR, FormSDJWT, FormCWT)
		}
	}
	if form.Wallet() {
		form.Level, form.VCT, form.Copies = "", f.p.Type, 1
		own, decoys := field{"vct", false, func(n *yaml.Node, path string) { form.VCT = f.vct(n, path) }}, int64(maxDecoys)
		if form.Kind == FormCWT {
			form.Level, form.MaxVersion, decoys = "L", liveVersion, maxCardDecoys
			own = field{"max_version", false, func(n *yaml.Node, path string) { form.MaxVersion = int(f.integer(n, path, 1, liveVersion)) }}
		}
		f.object(n, path, []field{
			kind, claims, own,
			{"disclosure", false, func(n *yaml.Node, path string) { where.disclosure = f.disclosure(n, path) }},
			{"decoys", false, func(n *yaml.Node, path string) { form.Decoys = int(f.integer(n, path, 0, decoys)) }},
			{"copies", false, func(n *yaml.Node, path string) { form.Copies = int(f.integer(n, path, 1, MaxCopies)) }},
			{"validity", false, func(n *yaml.Node, path string) {
				f.object(n, path, []field{{"for", true, func(n *yaml.Node, path string) { f.term(n, path, &form.Validity) }}})
			}},
		})
		return form, where
	}
	f.object(n, path, []field{
		kind, claims,
		{"level", false, func(n *yaml.Node, path string) { form.Level = f.choice(n, path, "L", "M", "Q") }},
		{"max_version", false, func(n *yaml.Node, path string) { form.MaxVersion = int(f.integer(n, path, 1, 25)) }},
	})
	return form, where
}

// outermost is the name under which a claim, or the object that it is in, stands in a
// credential.
func outermost(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

// vct reads the type of a wallet form.
func (f *file) vct(n *yaml.Node, path string) string {
	s := f.text(n, path)
	if s != "" && (len(s) > 255 || !vctPattern.MatchString(s) && !typePattern.MatchString(s)) {
		f.fault(n, path, "%q is neither an https address, such as https://registry.example.org/type/farmer/1, nor a type such as urn:xx:farmer:1", clip(s))
	}
	return s
}

// disclosure reads what the holder may leave out, claim by claim.
func (f *file) disclosure(n *yaml.Node, path string) []disclosedAt {
	var all []disclosedAt
	f.entries(n, path, func(key string, k, v *yaml.Node, path string) {
		all = append(all, disclosedAt{at{k, path}, key, f.choice(v, path, shownAlways, shownChosen, shownNever)})
	})
	return all
}

// connectWallet finds the claims of a wallet form.
func (f *file) connectWallet(form *Form, where formAt) {
	p := f.p
	words := map[string]string{}
	for _, d := range where.disclosure {
		i := p.claimIndex(d.name)
		if i < 0 && f.complete() {
			f.faultAt(d.at, "there is no claim %q%s", clip(d.name), meant(d.name, p.claimNames()))
		}
		words[d.name] = d.word
	}
	for _, a := range where.names {
		f.carryNamed(form, a)
	}
	if where.all {
		for i := range p.Claims {
			if words[p.Claims[i].Name] != shownNever && !(p.Claims[i].NeverQR && form.Kind == FormCWT) {
				form.carry(p, i)
			}
		}
	}
	for _, d := range where.disclosure {
		carried := slices.Contains(form.Claims, d.name)
		switch {
		case p.claimIndex(d.name) < 0:
		case carried && d.word == shownNever:
			f.faultAt(d.at, "is never shown, and claims names it; one of the two is wrong")
		case !carried && d.word != shownNever && d.word != "":
			f.faultAt(d.at, "is not among the claims of this form")
		case d.word == shownAlways && form.Kind == FormSDJWT:
			form.Shown = append(form.Shown, d.name)
		}
	}
	for _, name := range form.Claims {
		// Each claim that can be left out makes a card's code larger, so that they are
		// named.
		if form.Kind == FormCWT && words[name] != shownChosen {
			form.Shown = append(form.Shown, name)
		}
		if form.Kind == FormSDJWT && sdjwt.Reserved(outermost(name)) {
			f.faultAt(where.at, "carries the claim %q, a name that an SD-JWT VC keeps for itself; give the claim another name, or leave it out with disclosure: {%s: never}", name, name)
		}
	}
	for i := range p.Forms {
		if other := &p.Forms[i]; other != form && other.Kind == form.Kind && other.VCT == form.VCT && other.Name < form.Name {
			f.faultAt(where.at, "has the same vct as the form %q; wallets could not tell them apart", other.Name)
		}
	}
}
