package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

func (p *program) trustCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "trust", Short: "Import and show whom this verifier trusts", Args: cobra.NoArgs,
		Long: `A trust bundle is a signed file that names the issuers, their keys, what they may issue and what was revoked.
The first one that is imported settles whom this verifier trusts, which is why its fingerprint has to be compared with the
published one. Later ones must come from the same authority and be newer.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(p.trustImportCommand(), p.trustUpdateCommand(), p.trustShowCommand(), p.trustCodeCommand())
	return c
}

func (p *program) trustImportCommand() *cobra.Command {
	var fingerprint string
	c := &cobra.Command{
		Use: "import FILE|-", Short: "Take a trust bundle, or a delta to the one in use, into use", Args: cobra.ExactArgs(1),
		Example: `  verifier trust import office.trust
  verifier trust import --fingerprint "01234 56789 01234 56789 01234 56789" office.trust`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.trustImport(cmd, args[0], fingerprint) }),
	}
	c.Flags().StringVar(&fingerprint, "fingerprint", "", "the published fingerprint, `DIGITS` in six groups of five, in place of a question")
	return c
}

// errNoFingerprint: a first import that nobody can confirm.
var errNoFingerprint = errors.New("this verifier trusts nobody yet, and there is no terminal to confirm the fingerprint on")

func (p *program) trustImport(cmd *cobra.Command, name, fingerprint string) error {
	dir, err := p.home()
	if err != nil {
		return err
	}
	file, err := readAll(cmd, name, trust.MaxFile)
	if err != nil {
		return err
	}
	memory := trust.NewDirMemory(dir)
	before, err := memory.Load()
	if err != nil {
		return cli.Hint(err, "if you accept to compare the fingerprint anew, remove the folder %s and import again", dir)
	}
	words, err := p.Language()
	if err != nil {
		return err
	}
	var unasked error
	after, b, err := trust.Accept(before, file, func(b *trust.Bundle) bool {
		ok, err := confirm(cmd, b, fingerprint, cli.IsTerminal(cmd.InOrStdin()), words)
		unasked = err
		return ok
	})
	if unasked != nil {
		if errors.Is(unasked, errNoFingerprint) {
			return p.Misused(unasked)
		}
		return unasked
	}
	if err != nil {
		return refusal(err)
	}
	if before.Trusted() && fingerprint != "" && !trust.Pinned(fingerprint)(b) {
		return fmt.Errorf("the bundle has the fingerprint %s, not the one given", b.Fingerprint())
	}
	if err := memory.Save(after); err != nil {
		return err
	}
	changed := !before.Trusted() || before.HighWater != after.HighWater || before.Damaged
	if p.JSON {
		return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{
			"bundle_version": b.Version, "fingerprint": b.Fingerprint(), "first": !before.Trusted(), "changed": changed,
			"as_of": b.AsOf.Format(time.RFC3339), "issuers": len(b.Issuers), "status_lists": len(b.Status),
		})
	}
	word := "imported"
	if !changed {
		word = "was already in use"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Trust bundle %d of %s %s: %s, %s, %s.\n", b.Version, b.AsOf.Format(time.DateOnly), word,
		cli.Count(len(b.Issuers), "issuer"), cli.Count(len(b.Types), "type"), cli.Count(len(b.Status), "status list"))
	if err == nil && !before.Trusted() {
		cli.Say(cmd, "Next: verifier check FILE")
	}
	return err
}

// confirm asks whether the fingerprint is the published one, unless that was
// given on the command line.
func confirm(cmd *cobra.Command, b *trust.Bundle, fingerprint string, terminal bool, words i18n.Language) (bool, error) {
	if fingerprint != "" {
		if trust.Pinned(fingerprint)(b) {
			return true, nil
		}
		return false, cli.Hint(fmt.Errorf("the bundle has the fingerprint %s, not the one given", b.Fingerprint()),
			"do not use this file unless the authority confirms the fingerprint by another way")
	}
	if !terminal {
		return false, cli.Hint(errNoFingerprint, "compare the fingerprint with the published one and give it: --fingerprint %q", b.Fingerprint())
	}
	cli.Say(cmd, "%s", words.Text("wallet.trust.first", nil))
	for _, i := range b.Issuers[:min(len(b.Issuers), 5)] {
		cli.Say(cmd, "  %s", cli.Visible(words.Pick(i.Names)))
	}
	if more := len(b.Issuers) - 5; more > 0 {
		cli.Say(cmd, "  %s", words.Text("wallet.trust.more", map[string]string{"count": words.Number(more)}))
	}
	cli.Say(cmd, "%s\n\n    %s\n", words.Text("wallet.trust.compare", nil), b.Fingerprint())
	if cli.Agreed(cmd, words.Text("wallet.trust.same", nil), words.Text("wallet.ask.yes", nil), words.Text("wallet.ask.no", nil)) {
		return true, nil
	}
	return false, errors.New("not confirmed, nothing was imported")
}

// refusal says what a person can do about a bundle that was refused.
func refusal(err error) error {
	for _, r := range []struct {
		is   error
		hint string
	}{
		{trust.ErrRollback, "the bundle in use is newer and stays; ask for the newest one"},
		{trust.ErrOtherRoot, "this file is from another authority than the one this verifier trusts; use another --dir for it"},
		{trust.ErrMixed, "two different bundles have this version; ask the authority which one is right"},
		{trust.ErrBackwards, "the file is dated before the bundle in use; ask the authority for a whole new bundle"},
		{trust.ErrGap, "this update does not follow the bundle in use; get the whole bundle"},
		{trust.ErrRootChain, "ask the authority for its newest bundle; do not use this file"},
		{trust.ErrQuorum, "the file was changed or is not complete; get it again from the authority"},
		{trust.ErrFormat, "get a newer release of this program"},
		{trust.ErrMalformed, "get the file again; it may have been damaged on its way"},
	} {
		if errors.Is(err, r.is) {
			return cli.Hint(err, "%s", r.hint)
		}
	}
	return err
}

func (p *program) trustShowCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "show", Short: "Show what is trusted and until when", Args: cobra.NoArgs,
		Example: "  verifier trust show\n  verifier trust show --trust office.trust --json",
		RunE:    p.Action(func(cmd *cobra.Command, _ []string) error { return p.trustShow(cmd, file) }),
	}
	c.Flags().StringVar(&file, "trust", "", "show the bundle in `FILE` (default: the imported one)")
	return c
}

func (p *program) trustShow(cmd *cobra.Command, file string) error {
	b, err := p.shown(cmd, file)
	if err != nil {
		return err
	}
	v := view(b, p.Now().UTC())
	if p.JSON {
		return cli.PrintJSON(cmd.OutOrStdout(), v)
	}
	w, err := p.Language()
	if err != nil {
		return err
	}
	v.text(cmd.OutOrStdout(), b, w)
	return nil
}

// shown is the bundle to show.
func (p *program) shown(cmd *cobra.Command, file string) (*trust.Bundle, error) {
	if file != "" {
		raw, err := readAll(cmd, file, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		b, err := trust.Open(raw)
		if err != nil {
			return nil, refusal(err)
		}
		return b, nil
	}
	dir, err := p.home()
	if err != nil {
		return nil, err
	}
	st, err := trust.NewDirMemory(dir).Load()
	if err != nil {
		return nil, err
	}
	if !st.Trusted() {
		return nil, cli.Hint(errors.New("nothing is trusted yet"), "verifier trust import FILE")
	}
	b, err := st.Open()
	if err != nil {
		return nil, cli.Hint(err, "import the bundle again; version %d or newer is accepted", st.HighWater)
	}
	return b, nil
}

// A bundleView is a bundle as trust show prints it.
type bundleView struct {
	Version      uint64       `json:"bundle_version"`
	Jurisdiction string       `json:"jurisdiction"`
	Fingerprint  string       `json:"fingerprint"`
	AsOf         time.Time    `json:"as_of"`
	RefreshBy    time.Time    `json:"refresh_by"`
	OldAfter     time.Time    `json:"old_after"`
	RootExpires  time.Time    `json:"root_expires"`
	RootVersion  uint64       `json:"root_version"`
	Age          trust.Age    `json:"age"`
	Issuers      []issuerView `json:"issuers"`
	Types        []typeView   `json:"types"`
	Status       []listView   `json:"status_lists"`
}

type issuerView struct {
	ID      string            `json:"id"`
	Names   map[string]string `json:"names"`
	Country string            `json:"country,omitempty"`
	Keys    []keyView         `json:"keys"`
}

type keyView struct {
	ID               keys.ID        `json:"id"`
	Algorithm        keys.Algorithm `json:"algorithm,omitempty"`
	State            keys.State     `json:"state"`
	ValidFrom        time.Time      `json:"valid_from,omitzero"`
	SignUntil        time.Time      `json:"sign_until,omitzero"`
	ValidTo          time.Time      `json:"valid_to,omitzero"`
	CompromisedSince time.Time      `json:"compromised_since,omitzero"`
	Types            []string       `json:"types"`
	Regions          []string       `json:"regions,omitempty"`
}

type typeView struct {
	ID     string            `json:"id"`
	Labels map[string]string `json:"labels"`
	Policy string            `json:"policy,omitempty"`
	// FreshFor is how old a list may be for the verdict valid, and FreshUntil until
	// when the oldest list of the bundle is.
	FreshFor       int64     `json:"fresh_for_s"`
	FreshUntil     time.Time `json:"fresh_until,omitzero"`
	StatusRequired bool      `json:"status_required"`
}

type listView struct {
	URI      string    `json:"uri"`
	Bits     int       `json:"bits"`
	Size     uint64    `json:"size"`
	IssuedAt time.Time `json:"issued_at"`
	Age      int64     `json:"age_s"`
}

func view(b *trust.Bundle, now time.Time) bundleView {
	v := bundleView{
		Version: b.Version, Jurisdiction: b.Jurisdiction, Fingerprint: b.Fingerprint(), AsOf: b.AsOf, RefreshBy: b.RefreshBy,
		OldAfter: b.OldAfter, RootExpires: b.Root.Expires, RootVersion: b.Root.Version, Age: b.Age(now),
		Issuers: []issuerView{}, Types: []typeView{}, Status: []listView{},
	}
	for _, i := range b.Issuers {
		iv := issuerView{ID: i.ID, Names: i.Names, Country: i.Country, Keys: []keyView{}}
		for _, k := range i.Keys {
			kv := keyView{
				ID: k.KeyID, State: k.State, ValidFrom: k.ValidFrom, SignUntil: k.SignUntil, ValidTo: k.ValidTo,
				CompromisedSince: k.CompromisedSince, Types: k.Types, Regions: k.Regions,
			}
			if !k.Key.IsZero() {
				kv.Algorithm = k.Key.Algorithm()
			}
			iv.Keys = append(iv.Keys, kv)
		}
		v.Issuers = append(v.Issuers, iv)
	}
	var oldest time.Time
	for _, s := range b.Status {
		v.Status = append(v.Status, listView{s.URI, s.Bits, s.Size, s.IssuedAt, int64(now.Sub(s.IssuedAt) / time.Second)})
		if oldest.IsZero() || s.IssuedAt.Before(oldest) {
			oldest = s.IssuedAt
		}
	}
	for _, t := range b.Types {
		tv := typeView{ID: t.ID, Labels: t.Labels, Policy: t.Policy, FreshFor: int64(t.FreshFor / time.Second), StatusRequired: t.StatusRequired}
		if !oldest.IsZero() {
			tv.FreshUntil = oldest.Add(t.FreshFor)
		}
		v.Types = append(v.Types, tv)
	}
	return v
}

// text prints the view for people, in the terms of the bundle's own labels.
func (v bundleView) text(out io.Writer, b *trust.Bundle, w i18n.Language) {
	day := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.DateOnly)
	}
	fmt.Fprintf(out, "Trust bundle %d", v.Version)
	if v.Jurisdiction != "" {
		fmt.Fprintf(out, " of %s", cli.Visible(v.Jurisdiction))
	}
	fmt.Fprintf(out, "\n\n")
	state := map[trust.Age]string{
		trust.Fresh: "up to date", trust.UpdateSoon: "update it soon", trust.Old: "an update is overdue", trust.Expired: "too old: nothing is valid by it any more",
	}[v.Age]
	rows(out, "  ", 100, [][2]string{
		{"fingerprint", v.Fingerprint},
		{"as of", day(v.AsOf) + " (" + state + ")"},
		{"update by", day(v.RefreshBy)},
		{"old after", day(v.OldAfter)},
		{"root ends", day(v.RootExpires)},
	})
	for _, i := range v.Issuers {
		country := ""
		if i.Country != "" {
			country = " (" + i.Country + ")"
		}
		fmt.Fprintf(out, "\nIssuer %s%s, %s\n", cli.Visible(w.Pick(i.Names)), country, cli.Visible(i.ID))
		for _, k := range i.Keys {
			until := "signs until " + day(k.SignUntil)
			switch k.State {
			case keys.Planned:
				until = "will sign from " + day(k.ValidFrom)
			case keys.Retired:
				until = "signed until " + day(k.SignUntil)
			case keys.Compromised:
				until = "stolen, counts for nothing from " + day(k.CompromisedSince)
			}
			fmt.Fprintf(out, "  key %s  %s  %s, %s\n", k.ID, cli.Pad(string(k.Algorithm), 5), k.State, until)
			fmt.Fprintf(out, "    may sign %s\n", cli.Visible(strings.Join(slices.Sorted(slices.Values(k.Types)), ", ")))
		}
	}
	fmt.Fprintf(out, "\nTypes\n")
	for i, t := range v.Types {
		until := ""
		if !t.FreshUntil.IsZero() {
			until = ", so these until " + day(t.FreshUntil)
		}
		fmt.Fprintf(out, "  %s, %s\n    lists count as fresh for %s%s\n", cli.Visible(w.Pick(t.Labels)), cli.Visible(t.ID), span(b.Types[i].FreshFor), until)
	}
	fmt.Fprintf(out, "\nStatus lists\n")
	if len(v.Status) == 0 {
		fmt.Fprintf(out, "  none: what this bundle checks needs a look at its status\n")
	}
	for _, l := range v.Status {
		fmt.Fprintf(out, "  %s  of %s, %s, %d slots\n", cli.Visible(l.URI), day(l.IssuedAt), span(time.Duration(l.Age)*time.Second)+" old", l.Size)
	}
}

// span is a length of time in whole days, or hours below two.
func span(d time.Duration) string {
	if d < 48*time.Hour {
		return cli.Count(max(0, int(d/time.Hour)), "hour")
	}
	return cli.Count(int(d/(24*time.Hour)), "day")
}
