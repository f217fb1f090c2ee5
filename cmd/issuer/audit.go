package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
)

func (p *program) auditCommand() *cobra.Command {
	return cli.Group("audit", "Export and verify the log of everything that was done",
		`Every change is in the audit log before it takes effect. The log is a Merkle tree: whoever holds an older checkpoint can tell whether anything
written before was changed, removed or slipped in. It contains no personal data.`,
		p.auditExport(), p.auditVerify(), p.auditCheckpoint(), p.auditJournal(), p.auditWitness())
}

func (p *program) auditExport() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export --out FOLDER", Short: "Write the log, a signed checkpoint and the public key", Args: cobra.NoArgs,
		Long: "Writes " + audit.EntriesFile + ", " + audit.CheckpointFile + " and " + audit.KeyFile + `. Keep them where the operators of this machine cannot write, and
give the checkpoint to somebody who does not work for you.`,
		Example: "  issuer audit export --dir office --out audit/2026-11-21",
		RunE: p.office(readWrite, func(cmd *cobra.Command, app *app, _ []string) error {
			head, err := app.exportAudit(cmd.Context(), out)
			if err != nil {
				return err
			}
			view := map[string]any{"entries": head.Size, "root": head.Root.String(), "folder": out}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries, root %s\n%s\nnext: `issuer audit verify %s` checks it without this machine\n", head.Size, head.Root, out, out)
			})
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the folder to write to (required)")
	_ = c.MarkFlagRequired("out")
	return c
}

func (p *program) auditVerify() *cobra.Command {
	var older, witnesses []string
	var key string
	var quorum int
	c := &cobra.Command{
		Use: "verify FOLDER", Short: "Check an exported log; needs no issuer and no network", Args: cobra.ExactArgs(1),
		Long: `Checks that the entries are those that the checkpoint was signed over and, with --older, that the log continues what an older checkpoint was
signed over. Without --key the key is taken from the folder itself, and whose it is is yours to compare: the output names it.

With --witness the checkpoint must also be co-signed by witnesses that you trust, so that this is the log which everybody else was shown.`,
		Example: "  issuer audit verify audit/2026-11-21\n  issuer audit verify audit/2026-11-21 --older audit/2026-10-01/" + audit.CheckpointFile,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			var olds [][]byte
			for _, path := range older {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				olds = append(olds, b)
			}
			var trusted []byte
			if key != "" {
				var err error
				if trusted, err = os.ReadFile(key); err != nil {
					return err
				}
			}
			report, err := audit.VerifyDir(args[0], string(trusted), olds...)
			if e, ok := errors.AsType[*audit.ChangedError](err); ok {
				hint := "keep this copy as evidence and compare it with other copies"
				if e.From > 0 {
					hint += fmt.Sprintf("; entries before number %d are proven unchanged", e.From)
				}
				return cli.Hint(fmt.Errorf("the log was changed: %w", e), "%s", hint)
			}
			if err != nil {
				return err
			}
			cosigned, err := checkWitnesses(args[0], report, witnesses, quorum)
			if err != nil {
				return err
			}
			view := map[string]any{
				"witnesses": cosigned, "ok": true, "origin": report.Origin, "entries": report.Size, "root": report.Root.String(), "signers": report.Signers,
				"first": report.First, "last": report.Last, "kinds": report.Kinds, "older_checkpoints": len(report.Older),
			}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "unchanged: %d entries of %s, from %s to %s\n", report.Size, report.Origin,
					report.First.Format(time.RFC3339), report.Last.Format(time.RFC3339))
				fmt.Fprintf(w, "signed by %s\n", strings.Join(report.Signers, ", "))
				for _, c := range cosigned {
					fmt.Fprintln(w, c)
				}
				for _, o := range report.Older {
					fmt.Fprintf(w, "continues the checkpoint at %d entries\n", o.Size)
				}
				kinds := make([]string, 0, len(report.Kinds))
				for k := range report.Kinds {
					kinds = append(kinds, string(k))
				}
				slices.Sort(kinds)
				for _, k := range kinds {
					fmt.Fprintf(w, "  %8d  %s\n", report.Kinds[audit.Kind(k)], k)
				}
				if len(report.Older) == 0 {
					fmt.Fprintln(w, "hint: with an older checkpoint (--older FILE) this also proves that nothing from before it was removed")
				}
			})
		}),
	}
	c.Flags().StringVar(&key, "key", "", "trust only the keys in `FILE`, a "+audit.KeyFile+" that you kept")
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "a `KEY` of a witness that you trust (repeat for several)")
	c.Flags().IntVar(&quorum, "quorum", 0, "how many of them must have co-signed (default: all)")
	c.Flags().StringArrayVar(&older, "older", nil, "an older checkpoint that the log must continue (repeat for several)")
	return c
}

// checkWitnesses reads which of these witnesses have co-signed the checkpoint of a
// folder that was verified. Fewer than the quorum is an error.
func checkWitnesses(dir string, r audit.Report, witnesses []string, quorum int) ([]witnessAnswer, error) {
	answers := []witnessAnswer{}
	if len(witnesses) == 0 {
		return answers, nil
	}
	signed, err := os.ReadFile(filepath.Join(dir, audit.CheckpointFile))
	if err != nil {
		return nil, err
	}
	vkeys, err := os.ReadFile(filepath.Join(dir, audit.KeyFile))
	if err != nil {
		return nil, err
	}
	c, err := audit.OpenCosigned(signed, string(vkeys), strings.Join(witnesses, "\n")+"\n")
	if err != nil {
		return nil, err
	}
	if c.Head != r.Head {
		return nil, errors.New("the checkpoint changed while it was read")
	}
	for _, s := range c.Cosignatures {
		answers = append(answers, witnessAnswer{Witness: s.Witness, Size: c.Size, Time: &s.Time})
	}
	if quorum == 0 {
		quorum = len(witnesses)
	}
	if len(answers) < quorum {
		return nil, cli.Hint(fmt.Errorf("%d of these witnesses have co-signed the checkpoint, want %d", len(answers), quorum),
			"the office may show this log to you alone; ask the witnesses what they have seen")
	}
	return answers, nil
}

// exportAudit signs the present head of the log and writes the log as files.
func (a *app) exportAudit(ctx context.Context, out string) (audit.Head, error) {
	checkpoint, vkeys, err := a.checkpoint(ctx)
	if err != nil {
		return audit.Head{}, err
	}
	cosigned, err := a.store.Cosignatures(ctx, checkpoint.Size)
	if err != nil {
		return audit.Head{}, err
	}
	signed := checkpoint.Note
	for _, c := range cosigned {
		signed = audit.AddCosignatures(signed, c.Line)
	}
	return checkpoint.Head, audit.Export(ctx, out, audit.Exported{
		Entries: a.store.AuditEntries(ctx, checkpoint.Size), Checkpoint: signed, Keys: vkeys,
	})
}

// origin names the audit log: the host of the issuer's address and its id, as
// C2SP asks for.
func (a *app) origin() string {
	host := a.cfg.Issuer.URL
	if u, err := url.Parse(host); err == nil {
		host = u.Host
	}
	origin := host + "/audit/" + a.cfg.Issuer.ID
	if n := a.store.LogNo(); n > 1 { // it began anew after a restore without journal
		origin += fmt.Sprintf("/%d", n)
	}
	return origin
}
