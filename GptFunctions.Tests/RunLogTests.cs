using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>Runs after all the others (xunit keeps collections that must not run in parallel for the end).</summary>
[CollectionDefinition(nameof(AfterAllOthers), DisableParallelization = true)]
public sealed class AfterAllOthers;

/// <summary>architecture.md 6: no token, code, secret, state or cookie in the logs. Searches what the whole run has logged.</summary>
[Collection(nameof(AfterAllOthers))]
public sealed partial class RunLogTests : IAsyncLifetime
{
    private TestApp app = null!;

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(RunLogTests));

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Log_of_the_whole_run_holds_no_secret()
    {
        await new OAuthFlow(app.Http).TokensAsync(await OAuthFlow.AddClientAsync(app), "user_last"); // something to search for, should this test run alone
        Assert.NotEmpty(RunLog.Lines);
        Assert.True(RunLog.Secrets.Count >= 4, "The flow noted too few secrets.");

        var text = string.Join('\n', RunLog.Lines);
        Assert.DoesNotMatch(Shapes(), text);
        Assert.DoesNotContain(RunLog.Secrets.Distinct(StringComparer.Ordinal), secret => text.Contains(secret, StringComparison.Ordinal));
    }

    // A refresh token, the beginning of any JWT, a PEM in base64.
    [GeneratedRegex("gpt_rt_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{20,}|LS0tLS1CRUdJTi", RegexOptions.None, 10_000)]
    private static partial Regex Shapes();
}
