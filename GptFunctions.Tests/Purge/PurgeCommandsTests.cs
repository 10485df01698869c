using System.Text.RegularExpressions;
using GptFunctions.Purge;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Purge;

/// <summary>purge.md 7: <c>GptFunctions purge</c> by hand, as a process.</summary>
public sealed partial class PurgeCommandsTests : IAsyncLifetime
{
    private TestDatabase database = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(PurgeCommandsTests));
        var rows = new PurgeRows(database, PurgeRows.Present, 4000, isClockRunning: true);
        await rows.AddOwnersAsync();
        await rows.AddCodesAsync();
        await rows.AddTokensAsync();
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Purge_dry_run_counts_and_deletes_nothing_and_the_run_deletes_what_was_counted()
    {
        var (code, output, error) = await RunAsync("--dry-run");
        Assert.Equal((0, ""), (code, error));
        Assert.Equal(PurgeClass.All.Select(rows => rows.Name), Figures(output).Keys);
        Assert.Equal((2000, 2000, 0), (Figures(output)["expired_auth_codes"], Figures(output)["revoked_tokens"], Figures(output)["expired_sessions"]));
        Assert.Contains("Nothing was deleted (--dry-run).", output, StringComparison.Ordinal);
        Assert.Equal((4000, 0), (await database.CountAsync("gpt_authorization_codes"), await database.CountAsync("maintenance_runs")));

        var (runCode, runOutput, _) = await RunAsync("--by", "ada", "--reason", "disk is full");
        Assert.Equal(0, runCode);
        Assert.Equal(Figures(output), Figures(runOutput));
        Assert.Contains("4000 rows deleted in ", runOutput, StringComparison.Ordinal);
        Assert.Equal((2000, 1), (await database.CountAsync("gpt_authorization_codes"), await database.CountAsync("maintenance_runs")));
        var told = await database.EventsAsync(PurgeStore.Started, "operator", "command:ada");
        Assert.Equal("disk is full", Assert.Single(told).GetProperty("payload").GetProperty("reason").GetString());
    }

    [Fact]
    public async Task Purge_older_than_moves_the_limit()
    {
        Assert.Equal(2000 - 240, Figures((await RunAsync("--dry-run", "--older-than", "40d")).Output)["expired_auth_codes"]);
        Assert.Equal(2000 + 24, Figures((await RunAsync("--older-than", "29d")).Output)["expired_auth_codes"]);
    }

    [Fact]
    public async Task Purge_beside_another_run_succeeds_and_says_so()
    {
        await using var other = await new PurgeStore(database.Source).TryLockAsync(CancellationToken.None);
        var (code, output, _) = await RunAsync();
        Assert.Equal((0, "Another run holds the lock: it does the work.\n"), (code, output));
    }

    [Fact]
    public async Task Purge_that_fails_exits_with_an_error_and_names_the_class()
    {
        await database.ExecuteAsync("""
            CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the codes are broken'; END $$;
            CREATE TRIGGER break_it BEFORE DELETE ON gpt_authorization_codes FOR EACH ROW EXECUTE FUNCTION break_it()
            """);
        var (code, output, error) = await RunAsync();
        Assert.Equal(1, code);
        Assert.Equal(2000, Figures(output)["revoked_tokens"]);
        Assert.Contains(
            "The purge failed in expired_auth_codes; the rest is done.\n - expired_auth_codes: P0001: the codes are broken\n", error,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("30")]
    [InlineData("0d")]
    [InlineData("-1d")]
    [InlineData("3651d")]
    [InlineData("1h")]
    public void Older_than_anything_but_a_number_of_days_is_refused(string text) => Assert.Null(PurgeCommands.ParseDays(text));

    [Fact]
    public async Task Purge_with_a_bad_older_than_says_what_it_takes()
    {
        var (code, _, error) = await RunAsync("--older-than", "yesterday");
        Assert.Equal((1, "--older-than must be a number of days between 1d and 3650d.\n"), (code, error));
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, TestApp.FreePort()), ["purge", .. arguments]);

    private static Dictionary<string, int> Figures(string output) =>
        FigureLine().Matches(output)
            .ToDictionary(
                match => match.Groups["name"].Value,
                match => int.Parse(match.Groups["rows"].Value, System.Globalization.CultureInfo.InvariantCulture), StringComparer.Ordinal);

    [GeneratedRegex("^(?<name>[a-z_]+) +(?<rows>[0-9]+)$", RegexOptions.Multiline, 1000)]
    private static partial Regex FigureLine();
}
