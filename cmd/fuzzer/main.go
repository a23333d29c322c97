// Command fuzzer runs wake-word fuzzing campaigns: it speaks dictionary words
// at a voice assistant, or feeds them to a wake-word model, and ranks those
// that wake it by mistake.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// app is what every subcommand shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string
	config         config
}

// run carries out a command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if message := describe(err); message != "" {
		fmt.Fprintf(stderr, "fuzzer: %s\n", message)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fuzzer",
		Short: "Find the words that wake a voice assistant by mistake",
		Long: `fuzzer speaks dictionary words at a voice assistant, or feeds them to a
wake-word model, and ranks the words that wake it by mistake.

A campaign is described by a file, lives in a folder, and can be stopped and
resumed at any moment:

  fuzzer run examples/openwakeword-alexa.yaml
  fuzzer status campaigns/openwakeword-alexa      (also while it runs)
  fuzzer export campaigns/openwakeword-alexa --format csv

` + exitCodesHelp,
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			a.config, err = loadConfig(a.configPath)
			return err
		},
		Args: noSuchCommand,
		RunE: showHelp,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "the `file` with settings of this machine (default "+defaultConfigPath()+", if there is one)")
	root.AddCommand(a.runCommand(), a.resumeCommand(), a.statusCommand(), a.exportCommand(), a.compareCommand(), a.rescoreCommand(), a.explainCommand(),
		a.wordsCommand(), a.distanceCommand(), a.synthCommand(), a.voicesCommand(), a.devicesCommand(),
		a.calibrateCommand(), a.doctorCommand(), a.scanCommand(), a.monitorCommand(), a.recordCommand(), a.analyzeCommand(), a.evaluateCommand(),
		a.versionCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		strict(c)
	}
	return root
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// strict makes wrong arguments of a command, and of those below it, a usage
// error. Of cobra's own commands it mends that they let some pass.
func strict(c *cobra.Command) {
	check := c.Args
	if c.Name() == "help" {
		check = func(cmd *cobra.Command, args []string) error {
			_, unknown, _ := cmd.Root().Find(args)
			return noSuchCommand(cmd.Root(), unknown)
		}
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
	if !c.Runnable() {
		c.RunE = showHelp
	}
	for _, below := range c.Commands() {
		strict(below)
	}
}

// noSuchCommand takes any argument for a command that isn't there.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see fuzzer --help"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return usagef("unknown command %q; %s", args[0], hint)
}
