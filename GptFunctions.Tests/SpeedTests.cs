using System.Diagnostics;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>infra/load: what is published of speed can be told apart, drawn anew and installed anywhere.</summary>
public sealed partial class SpeedTests
{
    private static readonly string Load = Path.Combine(TestServices.RepositoryRoot, "infra", "load");
    private static readonly string Results = File.ReadAllText(Path.Combine(Load, "RESULTS.md"));

    [Fact]
    public void Each_table_says_when_and_on_which_host_it_was_measured()
    {
        var sections = Section().Matches(Results);
        Assert.True(sections.Count > 9, $"{sections.Count} sections");
        Assert.All(sections, section => Assert.True(
            Measured().IsMatch(section.Groups["text"].Value), $"{section.Groups["name"].Value} names no date or no host."));
    }

    /// <summary>Who saves a table draws the chart anew; who edits one by hand runs infra/load/chart.sh, as make docs does.</summary>
    [Fact]
    public async Task Chart_is_what_the_tables_say()
    {
        var drawn = await DrawAsync(Load);
        Assert.Equal(drawn.Output, await File.ReadAllTextAsync(Path.Combine(Load, "speed.svg")));
        Assert.Equal(18, drawn.Output.Split("<rect class=\"").Length - 1 - 7); // bars, beside a card and six keys of colours
    }

    [Fact]
    public async Task Chart_is_not_drawn_of_a_table_that_lacks_something()
    {
        var directory = Directory.CreateTempSubdirectory("gpt-chart-");
        try
        {
            File.Copy(Path.Combine(Load, "chart.sh"), Path.Combine(directory.FullName, "chart.sh"));
            await File.WriteAllTextAsync(
                Path.Combine(directory.FullName, "RESULTS.md"), Results.Replace("GptFunctions, events/s", "events/s", StringComparison.Ordinal));
            var (exitCode, output) = await DrawAsync(directory.FullName);
            Assert.Equal((1, true), (exitCode, output.Contains("RESULTS.md lacks \"GptFunctions, events/s\" at 1 connection", StringComparison.Ordinal)));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>A lock file that names where its packages were fetched from works there only.</summary>
    [Theory]
    [InlineData("infra/load/node")]
    [InlineData("GptFunctions.Tests/Clients")]
    public async Task Lock_of_npm_packages_pins_each_and_names_no_registry(string directory)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, directory, "package-lock.json"));
        Assert.DoesNotContain("\"resolved\"", text, StringComparison.Ordinal);
        using var package = System.Text.Json.JsonDocument.Parse(await File.ReadAllTextAsync(
            Path.Combine(TestServices.RepositoryRoot, directory, "package.json")));
        var pinned = package.RootElement.GetProperty("dependencies").EnumerateObject();
        Assert.All(pinned, one => Assert.Matches(@"^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+", one.Value.GetString()));
    }

    /// <summary>HOST=func: what lacks is said before anything is built or started.</summary>
    [Theory]
    [InlineData("refresh.sh", "refresh.sh: HOST=func needs Azure Functions Core Tools 4")]
    [InlineData("coldstart.sh", "coldstart.sh: HOST=func cannot be measured here")]
    public async Task Functions_host_that_cannot_be_measured_is_refused_in_one_sentence(string script, string sentence)
    {
        var path = Directory.CreateTempSubdirectory("gpt-path-"); // without func, wherever a machine has it
        try
        {
            foreach (var tool in (string[])["dirname", "mktemp", "rm"])
            {
                File.CreateSymbolicLink(Path.Combine(path.FullName, tool), "/usr/bin/" + tool);
            }

            var (exitCode, output) = await RunAsync(
                Path.Combine(Load, script), "", start => (start.Environment["HOST"], start.Environment["PATH"]) = ("func", path.FullName));
            Assert.Equal(1, exitCode);
            Assert.StartsWith(sentence, output, StringComparison.Ordinal);
            Assert.Equal(1, output.Count(letter => letter == '\n'));
        }
        finally
        {
            path.Delete(recursive: true);
        }
    }

    private static Task<(int ExitCode, string Output)> DrawAsync(string directory) => RunAsync(Path.Combine(directory, "chart.sh"), "--print", _ => { });

    private static async Task<(int ExitCode, string Output)> RunAsync(string script, string argument, Action<ProcessStartInfo> prepare)
    {
        var start = new ProcessStartInfo("bash", argument.Length > 0 ? [script, argument] : [script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        prepare(start);
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await error);
    }

    [GeneratedRegex("<!-- (?<name>[a-z-]+) -->\n(?<text>.*?)<!-- /\\k<name> -->", RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Section();

    [GeneratedRegex(
        @"^Measured \d{4}-\d\d-\d\d on .* (Standalone|Functions) host\.", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Measured();
}
