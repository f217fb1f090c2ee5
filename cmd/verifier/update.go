package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/trust"
)

// Exit statuses of `trust update` and `status` beside those of all commands.
const (
	// exitNothing: no source had anything that could be used; what is in use stays.
	exitNothing = 3
	// exitOld: something that verdicts rest on is overdue, old or missing.
	exitOld = 4
)

// updateTimeout is how long one source may take: 4 MiB over a slow line.
const updateTimeout = 2 * time.Minute

// updater is that of the server's settings.
func (p *program) updater(cfg Config, log *slog.Logger) *verifier.Updater {
	return &verifier.Updater{
		Dir: cfg.Trust, Sources: cfg.TrustSources, Every: cfg.TrustEvery, Log: log, Now: p.Now,
		Fetch: fetch.New(fetch.Config{LocalHosts: cfg.LocalHosts, Timeout: updateTimeout}),
	}
}

func (p *program) trustUpdateCommand() *cobra.Command {
	var sources, local []string
	var every time.Duration
	var fingerprint string
	c := &cobra.Command{
		Use: "update", Short: "Get newer trust bundles from where they are published", Args: cobra.NoArgs,
		Long: `Asks each source for a newer bundle: those of the settings (trust_sources, into the folder trust), or those of --source (into the folder of imported
trust). What is older, of another authority or damaged is refused, and what is in use stays. "verifier serve" does the same by itself.

With --every it goes on until it is told to stop, and waits longer after rounds that bring nothing.

Exit status: 0 if at least one source was asked well; 3 if none was; 4 if none was and what is in use is overdue.`,
		Example: "  verifier trust update --config library/verifier.yaml\n  verifier trust update --source https://registry.example/trust/bundle.trust --every 6h",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			u, err := p.updaterOf(cmd, sources, local, log)
			if err != nil {
				return err
			}
			if fingerprint != "" {
				u.First = trust.Pinned(fingerprint)
			}
			if every != 0 {
				if u.Every = every; every < time.Minute {
					return p.Misused(fmt.Errorf("--every must be at least 1m"))
				}
				u.Run(cmd.Context())
				return nil
			}
			u.Log = slog.New(slog.DiscardHandler) // the table says it
			return p.updateOnce(cmd, u)
		}),
	}
	f := c.Flags()
	f.StringArrayVar(&sources, "source", nil, "the `ADDRESS` of a bundle, in place of those of the settings; may be repeated")
	f.StringArrayVar(&local, "local-host", nil, "a `HOST` inside of the network that may be asked, by http too; may be repeated")
	f.DurationVar(&every, "every", 0, "go on, once in this time, such as 6h")
	f.StringVar(&fingerprint, "fingerprint", "", "the published fingerprint, `DIGITS` in six groups of five, for the first bundle")
	return c
}

func (p *program) updaterOf(cmd *cobra.Command, sources, local []string, log *slog.Logger) (*verifier.Updater, error) {
	if len(sources) == 0 {
		cfg, err := readConfig(p.settings)
		if err != nil {
			return nil, cli.Hint(err, "name the settings with --config FILE, or a bundle with --source ADDRESS")
		}
		if len(cfg.TrustSources) == 0 {
			return nil, cli.Hint(fmt.Errorf("%s names no trust_sources", p.settings), "add them, or name a bundle with --source ADDRESS")
		}
		cfg.LocalHosts = append(cfg.LocalHosts, local...)
		return p.updater(cfg, log), nil
	}
	dir, err := p.home()
	if err != nil {
		return nil, err
	}
	for _, a := range sources {
		if err := fetch.CheckURL(a, local); err != nil {
			return nil, p.Misused(err)
		}
	}
	return p.updater(Config{Trust: dir, TrustSources: sources, TrustEvery: time.Minute, LocalHosts: local}, log), nil
}

func (p *program) updateOnce(cmd *cobra.Command, u *verifier.Updater) error {
	all, err := u.Round(cmd.Context())
	if err != nil {
		return err
	}
	bundle, _, problem := openTrust(u.Dir)
	view := struct {
		Version uint64            `json:"bundle_version,omitempty"`
		Sources []verifier.Source `json:"sources"`
	}{Sources: all}
	if bundle != nil {
		view.Version = bundle.Version
	}
	w, err := p.Language()
	if err != nil {
		return err
	}
	if err := p.Print(cmd, view, func(out io.Writer) {
		for _, s := range all {
			fmt.Fprintf(out, "%s: %s\n", cli.Visible(s.Address), w.Text("status.outcome."+s.Outcome, nil))
		}
		if bundle != nil {
			fmt.Fprintf(out, "in use: trust bundle %d of %s\n", bundle.Version, bundle.AsOf.UTC().Format(time.DateOnly))
		} else {
			fmt.Fprintln(out, cli.Visible(problem))
		}
	}); err != nil {
		return err
	}
	switch {
	case slices.ContainsFunc(all, verifier.Source.Well):
		return nil
	case aged(verifier.Worst(verifier.FreshnessOf(bundle, nil, nil, p.Now()))):
		return cli.Exit(exitOld)
	}
	return cli.Exit(exitNothing)
}

// aged reports whether a level is worse than a notice.
func aged(l verifier.Level) bool { return l != verifier.LevelFresh && l != verifier.LevelSoon }

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how fresh everything is that results rest on", Args: cobra.NoArgs,
		Long: `Shows what the page /status of the server shows: how old the trust bundle, its keys and lists, the roots of other issuers and the verifier's certificate are, when that becomes a
problem, and how updates went. It reads the files of the settings and asks no server.

Exit status: 0 if nothing is overdue, 4 otherwise.`,
		Example: "  verifier status --config library/verifier.yaml\n  verifier status --json",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, ks, k, err := p.openKeys(cmd.Context())
			if ks == nil {
				return err
			}
			var certificate []byte
			if leaf, _, leafErr := chain.Folder(cfg.Chains).Leaf(k.Public); err == nil && leafErr == nil {
				certificate = leaf.Raw
			}
			bundle, _, problem := openTrust(cfg.Trust)
			sources := verifier.ReadUpdates(cfg.Trust, cfg.TrustSources)
			roots, err := issuerRoots(cfg)
			if err != nil {
				return err
			}
			st := verifier.StatusOf(bundle, roots, certificate, sources, cli.Version(), p.Now())
			l, err := p.Language()
			if err != nil {
				return err
			}
			if err := p.Print(cmd, st, func(w io.Writer) {
				for _, line := range st.Lines(l) {
					fmt.Fprintln(w, strings.TrimRight(line, " "))
				}
				if bundle == nil {
					fmt.Fprintln(w, cli.Visible(problem))
				}
			}); err != nil {
				return err
			}
			if aged(st.Level) {
				return cli.Exit(exitOld)
			}
			return nil
		}),
	}
}

func (p *program) webhooksCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "Show webhooks that are tried again or were given up", Args: cobra.NoArgs,
		Example: "  verifier webhooks list --config library/verifier.yaml",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			db, err := p.openOnce(cmd)
			if err != nil {
				return err
			}
			defer db.Close()
			all, pending, err := verifier.Webhooks(cmd.Context(), db, p.Now())
			if err != nil {
				return err
			}
			view := struct {
				Pending  int                `json:"pending"`
				Webhooks []verifier.Webhook `json:"webhooks"`
			}{pending, all}
			if all == nil {
				view.Webhooks = []verifier.Webhook{}
			}
			return p.PrintList(cmd, len(all)+pending, "no webhook is tried again, and none was given up", view, func(w io.Writer) {
				fmt.Fprintf(w, "%s without an outcome yet\n", cli.Count(pending, "request"))
				for _, h := range all {
					what := h.Policy
					if what == "" {
						what = "alarm"
					}
					fmt.Fprintf(w, "%s  %s  %s  %s, last: %s, since %s\n", h.ID, cli.Pad(h.State, 8), cli.Visible(what), cli.Count(h.Tries, "failure"), h.Last, h.Since.Format(time.RFC3339))
				}
			})
		}),
	}
	change := func(use, short, done string, drop bool) *cobra.Command {
		return &cobra.Command{
			Use: use + " ID...", Short: short, Args: cobra.MinimumNArgs(1), Example: "  verifier webhooks " + use + " --config library/verifier.yaml kq3v7mzd2hfw5xtn4bcaoj6y",
			RunE: p.Action(func(cmd *cobra.Command, args []string) error {
				db, err := p.openOnce(cmd)
				if err != nil {
					return err
				}
				defer db.Close()
				for _, id := range args {
					if err := verifier.RetryWebhook(cmd.Context(), db, p.Now(), id, drop); err != nil {
						return cli.Hint(err, "`verifier webhooks list` shows their ids")
					}
				}
				return p.Print(cmd, map[string]int{done: len(args)}, func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", done, cli.Count(len(args), "webhook")) })
			}),
		}
	}
	return cli.Group("webhooks", "Look after messages to relying parties that do not arrive",
		"A webhook that does not arrive is tried for a day, less and less often. Then it is given up and shown here for 30 days; it can be tried once more, or\n"+
			"dropped. It says verdict and reasons, and nothing about a person.",
		list, change("retry", "Try webhooks that were given up for another day", "queued", false), change("drop", "Forget webhooks that were given up", "dropped", true))
}
