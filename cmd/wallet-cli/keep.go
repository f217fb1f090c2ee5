package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
	"github.com/sanad-id/sanad/wallet"
)

func (p *program) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make a wallet", Args: cobra.NoArgs, Example: "  wallet-cli init\n  wallet-cli --dir wallet --passphrase-file pass.txt init",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			dir, err := p.home()
			if err != nil {
				return err
			}
			pass, err := p.secret(cmd, p.passphrase, "New passphrase: ", "--passphrase-file FILE")
			if err != nil {
				return err
			}
			if p.passphrase == "" {
				again, err := p.secret(cmd, "", "Once more: ", "--passphrase-file FILE")
				if err != nil {
					return err
				}
				if string(again) != string(pass) {
					return errors.New("these are two different passphrases; nothing was made")
				}
			}
			w, err := wallet.Create(dir, pass)
			if errors.Is(err, wallet.ErrExists) {
				return cli.Hint(err, "use the wallet that is there, or name another folder with --dir")
			} else if err != nil {
				return err
			}
			cli.Say(cmd, "Keep the passphrase safe: without it nobody can open the wallet.\nNext: wallet-cli trust import FILE, then wallet-cli accept OFFER")
			return errors.Join(w.Close(), p.Print(cmd, map[string]string{"dir": dir}, func(out io.Writer) { fmt.Fprintln(out, dir) }))
		}),
	}
}

// A view is a credential as list prints it. It has no claims.
type view struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Names      map[string]string `json:"names,omitempty"`
	Issuer     string            `json:"issuer"`
	IssuerName map[string]string `json:"issuer_names,omitempty"`
	Accepted   time.Time         `json:"accepted"`
	Expires    time.Time         `json:"expires,omitzero"`
	Expired    bool              `json:"expired"`
	Revoked    bool              `json:"revoked"` // when the wallet last looked
	Copies     int               `json:"copies"`
	Fresh      int               `json:"fresh_copies"`
}

// until says in the person's language until when it is good, or that it is not.
func (v view) until(words i18n.Language) string {
	if v.Revoked {
		return words.Text("reason."+string(credential.Revoked), nil)
	}
	key := "wallet.kept.no_end"
	if v.Expired {
		key = "wallet.kept.expired"
	} else if !v.Expires.IsZero() {
		key = "wallet.kept.until"
	}
	return words.Text(key, map[string]string{"date": words.Date(v.Expires)})
}

func views(all []wallet.Held, now time.Time) []view {
	list := []view{}
	for _, h := range all {
		v := view{ID: h.ID, Type: h.Type, Names: h.Names, Issuer: h.Issuer, IssuerName: h.IssuerNames, Accepted: h.Accepted, Copies: len(h.Copies)}
		v.Revoked = h.Copies[h.Fresh()].Revoked
		for _, c := range h.Copies {
			if c.Shown == 0 && !c.Revoked {
				v.Fresh++
			}
		}
		if said, err := h.Says(0); err == nil {
			v.Expires = said.Expires
			v.Expired = !v.Expires.IsZero() && !now.Before(v.Expires)
		}
		list = append(list, v)
	}
	return list
}

func (p *program) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what you hold", Args: cobra.NoArgs, Example: "  wallet-cli list\n  wallet-cli list --json",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, _ []string) error {
			words, err := p.Language()
			if err != nil {
				return err
			}
			// What cannot be read is said after what can.
			all, damaged := w.Held()
			pending, err := w.Pending()
			if damaged = errors.Join(damaged, err); damaged != nil && len(all)+len(pending) == 0 {
				return damaged
			}
			none := words.Text("wallet.kept.none", nil)
			err = p.PrintList(cmd, len(all)+len(pending), none, map[string]any{"credentials": views(all, p.Now()), "pending": len(pending)}, func(out io.Writer) {
				for _, v := range views(all, p.Now()) {
					stands := v.until(words)
					if !v.Revoked {
						stands += ", " + words.Text("wallet.kept.unused", map[string]string{"fresh": words.Number(v.Fresh), "all": words.Number(v.Copies)})
					}
					fmt.Fprintf(out, "%s  %s  %s  %s\n", v.ID, name(words, v.Names, v.Type), name(words, v.IssuerName, v.Issuer), stands)
				}
				if len(pending) > 0 {
					fmt.Fprintln(out, words.Text("wallet.kept.waiting", map[string]string{"count": words.Number(len(pending))}))
				}
			})
			return errors.Join(err, damaged)
		}),
	}
}

// get returns the credential with an id.
func get(w *wallet.Wallet, id string) (wallet.Held, error) {
	h, err := w.Get(id)
	if errors.Is(err, wallet.ErrNotHeld) {
		return h, cli.Hint(err, "wallet-cli list shows the ids; the beginning of one is enough")
	}
	return h, err
}

func (p *program) showCommand() *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show a credential with all it says, and whether it still stands", Args: cobra.ExactArgs(1),
		Example: "  wallet-cli show 01ng\n  wallet-cli show --lang fr 01ng\n  wallet-cli show --offline --json 01ng",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			words, err := p.Language()
			if err != nil {
				return err
			}
			h, err := get(w, args[0])
			if err != nil {
				return err
			}
			said, err := h.Says(0)
			if err != nil {
				return err
			}
			status := statusNotAsked
			if !offline {
				if status, err = p.status(cmd.Context(), w, h); err != nil {
					return err
				}
			}
			claims := map[string]any{}
			var order []string
			for _, f := range said.Fields {
				claims[f.Name], order = verification.Plain(f.Value), append(order, f.Name)
			}
			known, err := p.readings()
			if err != nil {
				return err
			}
			v := views([]wallet.Held{h}, p.Now())[0]
			return p.Print(cmd, map[string]any{"credential": v, "claims": claims, "labels": h.Labels, "status": status}, func(out io.Writer) {
				v.Revoked = false // status says it
				fmt.Fprintf(out, "%s\n%s\n%s\n%s\n\n", name(words, h.Names, h.Type), office(h, words), v.until(words), standing(words, status))
				var lines []line
				for _, n := range order {
					lines = append(lines, linesOf(n, claims[n])...)
				}
				width := 0
				for _, l := range lines {
					width = max(width, cli.Columns(name(words, h.Labels[l.name], l.name)))
				}
				for _, l := range lines {
					fmt.Fprintf(out, "  %s  %s\n", cli.Pad(name(words, h.Labels[l.name], l.name), width), reads(known(h.Type, l.name), l.value, words))
				}
			})
		}),
	}
	c.Flags().BoolVar(&offline, "offline", false, "do not ask for the status list")
	return c
}

// A reading is what the imported trust bundle knows about a claim of a type: its kind, and
// what its codes mean. Of what it does not know the zero field says nothing.
type reading func(typ, claim string) credential.TypeField

func (p *program) readings() (reading, error) {
	bundle, err := p.bundle()
	if err != nil {
		return nil, err
	}
	return func(typ, claim string) credential.TypeField {
		var t credential.Type
		if bundle != nil {
			t, _ = bundle.Type(typ)
		}
		f, _ := t.Field(claim)
		return f
	}, nil
}

// reads is the value of a claim as people read it.
func reads(f credential.TypeField, value any, words i18n.Language) string {
	return cli.Visible(explain.InWords(words, f.Kind, value, f.Values))
}

// A line is a claim as people read it.
type line struct {
	name  string
	value any
}

// office is who issued a credential: by name, if somebody vouches for one, and address.
func office(h wallet.Held, words i18n.Language) string {
	if n := words.Pick(h.IssuerNames); n != "" {
		return cli.Visible(n) + ", " + cli.Visible(h.Issuer)
	}
	return cli.Visible(h.Issuer)
}

// linesOf are the claims in a value: one, or those of an object under names such as
// address.village.
func linesOf(name string, value any) []line {
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		return []line{{name, value}}
	}
	var all []line
	for _, member := range slices.Sorted(maps.Keys(object)) {
		all = append(all, linesOf(name+"."+member, object[member])...)
	}
	return all
}

const (
	statusGood     = "good"
	statusNotAsked = "not_asked"
)

// status is what the issuer's list says now, in the words of package credential: good,
// or a reason; unknown if the list was not to be had.
func (p *program) status(ctx context.Context, w *wallet.Wallet, h wallet.Held) (string, error) {
	a, err := p.agent(w)
	if err != nil {
		return "", err
	}
	err = a.Status(ctx, h)
	if r, ok := errors.AsType[*credential.RejectedError](err); ok {
		return string(r.Reason), nil
	}
	if err != nil {
		return string(credential.StatusUnavailable), nil //nolint:nilerr // that the list is out of reach says nothing about the credential
	}
	return statusGood, nil
}

// standing says a status in the person's language.
func standing(words i18n.Language, status string) string {
	if status == statusGood || status == statusNotAsked {
		return words.Text("wallet.status."+status, nil)
	}
	return words.Text("reason."+status, nil)
}

func (p *program) logCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log", Short: "Show what was accepted, and what was shown to whom", Args: cobra.NoArgs, Example: "  wallet-cli log\n  wallet-cli log --json",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, _ []string) error {
			words, err := p.Language()
			if err != nil {
				return err
			}
			all, damaged := w.Log()
			if damaged != nil && len(all) == 0 {
				return damaged
			}
			err = p.PrintList(cmd, len(all), words.Text("wallet.kept.no_log", nil), append([]wallet.Entry{}, all...), func(out io.Writer) {
				for _, e := range all {
					who := e.Party
					if e.Name != "" {
						who = e.Name + ", " + e.Party
					}
					parts := []string{e.At.Local().Format(time.DateTime), words.Text("wallet.deed."+string(e.Deed), nil), e.Credential, cli.Visible(who), cli.Visible(strings.Join(e.Claims, ", "))}
					fmt.Fprintln(out, strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  "))
				}
			})
			return errors.Join(err, damaged)
		}),
	}
}

func (p *program) exportCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "export FILE", Short: "Write all credentials into one encrypted file", Args: cobra.ExactArgs(1),
		Example: "  wallet-cli export backup.wallet",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			pass, err := p.secret(cmd, file, "Passphrase of the export: ", "--export-passphrase-file FILE")
			if err != nil {
				return err
			}
			b, err := w.Export(pass)
			if err != nil {
				return err
			}
			err = durable.Create(args[0], b, 0o600)
			if errors.Is(err, os.ErrExist) {
				return cli.Hint(err, "choose another name, or remove the file first")
			} else if err != nil {
				return err
			}
			return p.Print(cmd, map[string]any{"file": args[0], "bytes": len(b)}, func(out io.Writer) { fmt.Fprintln(out, args[0]) })
		}),
	}
	c.Flags().StringVar(&file, "export-passphrase-file", "", "read the passphrase of the export from `FILE`, which only you may read")
	return c
}

// maxImport is the most bytes of an export.
const maxImport = 64 << 20

func (p *program) importCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "import FILE|-", Short: "Take the credentials of an export into this wallet", Args: cobra.ExactArgs(1),
		Example: "  wallet-cli --dir new init\n  wallet-cli --dir new import backup.wallet",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			b, err := readAll(cmd, args[0], maxImport)
			if err != nil {
				return err
			}
			pass, err := p.secret(cmd, file, "Passphrase of the export: ", "--export-passphrase-file FILE")
			if err != nil {
				return err
			}
			words, err := p.Language()
			if err != nil {
				return err
			}
			n, err := w.Import(b, pass)
			if errors.Is(err, wallet.ErrPassphrase) {
				return cli.Hint(err, "it is the one of the export, not that of this wallet")
			} else if err != nil {
				return err
			}
			return p.Print(cmd, map[string]int{"imported": n}, func(out io.Writer) {
				fmt.Fprintln(out, words.Text("wallet.done.imported", map[string]string{"count": words.Number(n)}))
			})
		}),
	}
	c.Flags().StringVar(&file, "export-passphrase-file", "", "read the passphrase of the export from `FILE`, which only you may read")
	return c
}

func (p *program) deleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete ID", Short: "Forget a credential and its keys", Args: cobra.ExactArgs(1), Example: "  wallet-cli delete 01ng",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			h, err := get(w, args[0])
			if err != nil {
				return err
			}
			words, err := p.Language()
			if err != nil {
				return err
			}
			cli.Say(cmd, "%s  %s, %s", h.ID, name(words, h.Names, h.Type), name(words, h.IssuerNames, h.Issuer))
			yes, err := p.agreed(cmd, words.Text("wallet.ask.forget", nil))
			if err != nil {
				return err
			}
			if !yes {
				return cli.Exit(statusDeclined)
			}
			if err := w.Note(wallet.Entry{At: p.Now().UTC(), Deed: wallet.Deleted, Credential: h.ID, Type: h.Type, Party: h.Issuer, Name: words.Pick(h.IssuerNames)}); err != nil {
				return err
			}
			if err := w.Delete(h.ID); err != nil {
				return err
			}
			return p.Print(cmd, map[string]string{"deleted": h.ID}, func(out io.Writer) {
				fmt.Fprintln(out, words.Text("wallet.done.forgotten", map[string]string{"name": h.ID}))
			})
		}),
	}
	c.Flags().BoolVar(&p.yes, "yes", false, "do not ask (for scripts)")
	return c
}
