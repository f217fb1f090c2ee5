package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/store/parties"
)

// newKey makes a key for a relying party and its digest.
func newKey() (string, [sha256.Size]byte) {
	key := "sanad_rp_" + rand.Text()
	return key, sha256.Sum256([]byte(key))
}

func (p *program) apiKeyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "api-key NAME", Short: "Make and end keys of relying parties", Args: cobra.ExactArgs(1),
		Long: `Keys let relying parties ask on the public port. "api-key add" makes one that works within a second, without a restart of the server; "api-key rotate"
makes the next one, and both work until the overlap is over. Keys are kept as digests (parties in the settings).

"api-key NAME" alone prints a new key and the lines for api_keys in the settings, for servers without such a place. The key is stored nowhere.`,
		Example: "  verifier api-key add website --config library/verifier.yaml\n  verifier api-key website",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			key, sum := newKey()
			digest := hex.EncodeToString(sum[:])
			return p.Print(cmd, map[string]string{"name": args[0], "key": key, "sha256": digest}, func(w io.Writer) {
				fmt.Fprintf(w, "key for the relying party: %s\n\napi_keys:\n  - name: %q\n    sha256: %s\n", key, cli.Visible(args[0]), digest)
			})
		}),
	}
	c.AddCommand(p.apiKeyAdd(), p.apiKeyRotate(), p.apiKeyList(), p.apiKeyRevoke())
	return c
}

// withParties runs f on the place of keys and usage.
func (p *program) withParties(ctx context.Context, f func(*parties.DB) error) error {
	cfg, err := readConfig(p.settings)
	if err != nil {
		return err
	}
	db, err := openParties(ctx, cfg)
	if err != nil {
		return err
	}
	if db == nil {
		return cli.Hint(fmt.Errorf("%s does not say where keys and usage are kept", p.settings), "add parties: parties.db")
	}
	return errors.Join(f(db), db.Close())
}

func (p *program) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy keys, usage and tallies of relying parties into a file", Args: cobra.ExactArgs(1),
		Long: `backup copies parties, the one database of a verifier that cannot be made anew, as it is at one moment. The server may run. FILE must not be there yet, and
only you can read it: it has the digests of all keys. What else a verifier consists of are files of the settings' folder, which anything can copy: settings,
policies, keystore, chains, trust; and the passphrase, to be kept apart. once need not be copied.

To go back, stop the server and put FILE in the place of parties, without the files parties.db-wal and parties.db-shm that lie beside it. Keys that were
revoked after the copy work again: revoke them again. On PostgreSQL copy the schema sanad_parties with pg_dump.`,
		Example: "  verifier backup --config library/verifier.yaml /backup/parties-2026-11-12.db",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			err := p.withParties(cmd.Context(), func(db *parties.DB) error { return db.Copy(cmd.Context(), args[0]) })
			switch {
			case errors.Is(err, parties.ErrNotFile):
				return cli.Hint(err, "pg_dump --schema=sanad_parties copies it")
			case errors.Is(err, fs.ErrExist):
				return cli.Hint(err, "name a file that is not there yet")
			case err != nil:
				return err
			}
			return p.Print(cmd, map[string]string{"file": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "copied into %s\n", cli.Visible(args[0])) })
		}),
	}
}

// showKey prints a new key, once.
func (p *program) showKey(cmd *cobra.Command, key string, k parties.Key) error {
	view := struct {
		parties.Key
		Secret string `json:"key"`
	}{k, key}
	return p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintf(w, "key for the relying party: %s\nid: %s, allows %s\n", key, k.ID, strings.Join(texts(k.Scopes), ", "))
		cli.Say(cmd, "It is shown once and stored nowhere. It works within a second; `verifier serve` needs a restart if it is the first of all.")
	})
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func (p *program) apiKeyAdd() *cobra.Command {
	var scopes, policies []string
	var lasts time.Duration
	c := &cobra.Command{
		Use: "add NAME", Short: "Make a key for a relying party", Args: cobra.ExactArgs(1),
		Long: `Prints a new key, which the relying party keeps. Scopes say what it allows: requests (asking wallets), verify (POST /verify), usage (reading its own
figures), tallies (uploading what counters did without a network; for the scanner page, best alone).`,
		Example: "  verifier api-key add website --policy card --for 8760h\n  verifier api-key add counters --scope tallies",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			key, digest := newKey()
			k := parties.Key{Party: args[0], Digest: digest, Policies: policies, Created: p.Now()}
			for _, s := range scopes {
				if !slices.Contains(parties.Scopes(), parties.Scope(s)) {
					return p.Misused(fmt.Errorf("--scope %q is not one of %s", s, strings.Join(texts(parties.Scopes()), ", ")))
				}
				k.Scopes = append(k.Scopes, parties.Scope(s))
			}
			if lasts < 0 {
				return p.Misused(errors.New("--for is negative"))
			}
			if lasts > 0 {
				k.Expires = k.Created.Add(lasts)
			}
			if err := p.checkPolicies(policies); err != nil {
				return err
			}
			return p.withParties(cmd.Context(), func(db *parties.DB) error {
				k, err := db.AddKey(cmd.Context(), k, nil)
				if err != nil {
					return err
				}
				return p.showKey(cmd, key, k)
			})
		}),
	}
	c.Flags().StringSliceVar(&scopes, "scope", []string{"requests", "verify", "usage"}, "what the key allows: requests, verify, usage, tallies; may be repeated")
	c.Flags().StringSliceVar(&policies, "policy", nil, "a `POLICY` that it may use; may be repeated (default: all)")
	c.Flags().DurationVar(&lasts, "for", 0, "how long the key works, such as 8760h (default: until it is revoked)")
	return c
}

// checkPolicies refuses names that the server does not know.
func (p *program) checkPolicies(names []string) error {
	if len(names) == 0 {
		return nil
	}
	cfg, err := readConfig(p.settings)
	if err != nil {
		return err
	}
	known, err := verifier.ReadPolicies(cfg.Policies)
	if err != nil {
		return err
	}
	for _, name := range names {
		if known[name] == nil {
			return cli.Hint(fmt.Errorf("there is no policy %q", name), "policies are the files in %s", cfg.Policies)
		}
	}
	return nil
}

func (p *program) apiKeyRotate() *cobra.Command {
	var overlap time.Duration
	c := &cobra.Command{
		Use: "rotate ID", Short: "Make the next key in place of another; both work for a while", Args: cobra.ExactArgs(1),
		Long: `Prints a new key with the name, scopes and policies of the key ID. The old one, and others of that name with the same scopes, work until the
overlap is over. What was begun with one key can be read with the other.`,
		Example: "  verifier api-key rotate 3fa94c0d21b7 --overlap 168h",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			if overlap < 0 {
				return p.Misused(errors.New("--overlap is negative"))
			}
			return p.withParties(cmd.Context(), func(db *parties.DB) error {
				all, err := db.Keys(cmd.Context())
				if err != nil {
					return err
				}
				i := slices.IndexFunc(all, func(k parties.Key) bool { return k.ID == args[0] })
				if i < 0 || !all[i].Live(p.Now()) {
					return cli.Hint(fmt.Errorf("there is no live key %s", cli.Visible(args[0])), "`verifier api-key list` shows them")
				}
				key, digest := newKey()
				old := all[i]
				next := parties.Key{Party: old.Party, Digest: digest, Scopes: old.Scopes, Policies: old.Policies, Created: p.Now()}
				if !old.Expires.IsZero() { // as long again
					next.Expires = next.Created.Add(old.Expires.Sub(old.Created))
				}
				if next, err = db.AddKey(cmd.Context(), next, &overlap); err != nil {
					return err
				}
				return p.showKey(cmd, key, next)
			})
		}),
	}
	c.Flags().DurationVar(&overlap, "overlap", 7*24*time.Hour, "how long the old key still works")
	return c
}

func (p *program) apiKeyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show who has keys", Args: cobra.NoArgs, Example: "  verifier api-key list --config library/verifier.yaml",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			return p.withParties(cmd.Context(), func(db *parties.DB) error {
				all, err := db.Keys(cmd.Context())
				if err != nil {
					return err
				}
				if all == nil {
					all = []parties.Key{}
				}
				return p.PrintList(cmd, len(all), "no relying party has a key yet; next: `verifier api-key add NAME`", all, func(w io.Writer) {
					for _, k := range all {
						state := "works"
						switch {
						case !k.Revoked.IsZero():
							state = "revoked " + k.Revoked.Format(time.DateOnly)
						case !k.Live(p.Now()):
							state = "expired " + k.Expires.Format(time.DateOnly)
						case !k.Expires.IsZero():
							state = "works until " + k.Expires.Format(time.RFC3339)
						}
						which := "all policies"
						if len(k.Policies) > 0 {
							which = strings.Join(k.Policies, ", ")
						}
						fmt.Fprintf(w, "%s  %s  %s; %s; since %s, %s\n", k.ID, cli.Visible(k.Party), strings.Join(texts(k.Scopes), ", "), which, k.Created.Format(time.DateOnly), state)
					}
				})
			})
		}),
	}
}

func (p *program) apiKeyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID...", Short: "End keys for good, within a second", Args: cobra.MinimumNArgs(1), Example: "  verifier api-key revoke 3fa94c0d21b7",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			return p.withParties(cmd.Context(), func(db *parties.DB) error {
				for _, id := range args {
					if err := db.RevokeKey(cmd.Context(), id, p.Now()); errors.Is(err, parties.ErrNone) {
						return cli.Hint(fmt.Errorf("there is no key %s that works", cli.Visible(id)), "`verifier api-key list` shows them")
					} else if err != nil {
						return err
					}
				}
				return p.Print(cmd, map[string]int{"revoked": len(args)}, func(w io.Writer) { fmt.Fprintf(w, "revoked %s\n", cli.Count(len(args), "key")) })
			})
		}),
	}
}

func (p *program) usageCommand() *cobra.Command {
	var from, to, party string
	var csv bool
	c := &cobra.Command{
		Use: "usage", Short: "Show how much relying parties used the service", Args: cobra.NoArgs,
		Long: `Counts verdicts by day, relying party, kind (request, proof, offline) and policy or type. Nothing of it is about a person. GET /usage gives each
relying party its own.`,
		Example: "  verifier usage --from 2026-11-01 --to 2026-11-30 --csv > november.csv",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			first, last, ok := verifier.UsageDays(from, to, p.Now())
			if !ok {
				return p.Misused(errors.New("--from and --to are days such as 2026-11-30, at most 400 days apart"))
			}
			only := &party
			if !cmd.Flags().Changed("party") {
				only = nil
			}
			return p.withParties(cmd.Context(), func(db *parties.DB) error {
				rows, err := db.Usage(cmd.Context(), first, last, only)
				if err != nil {
					return err
				}
				if csv {
					_, err := cmd.OutOrStdout().Write(verifier.UsageCSV(rows))
					return err
				}
				if rows == nil {
					rows = []parties.Count{}
				}
				none := fmt.Sprintf("nothing was counted from %s to %s; --from and --to name other days", first, last)
				return p.PrintList(cmd, len(rows), none, verifier.UsageReport{From: first, To: last, Rows: rows}, func(w io.Writer) {
					fmt.Fprintf(w, "from %s to %s\n", first, last)
					for _, c := range rows {
						fmt.Fprintf(w, "%s  %s  %s  %s  %s  %d\n", c.Day, cli.Pad(cli.Visible(dash(c.Party)), 16), cli.Pad(c.Kind, 8), cli.Pad(cli.Visible(dash(c.Subject)), 20), cli.Pad(c.Verdict, 12), c.N)
					}
				})
			})
		}),
	}
	c.Flags().StringVar(&from, "from", "", "the first `DAY` (default: 29 days before the last)")
	c.Flags().StringVar(&to, "to", "", "the last `DAY` (default: today)")
	c.Flags().StringVar(&party, "party", "", "only that `NAME`")
	c.Flags().BoolVar(&csv, "csv", false, "print CSV for a spreadsheet")
	return c
}

// dash stands for nothing.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
