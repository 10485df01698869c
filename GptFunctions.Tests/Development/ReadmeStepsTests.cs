using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Connect;
using GptFunctions.Tests.Support;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Development;

/// <summary>hosting.md 25: README's steps, run as they stand in the text, in their order, in a checkout of their own.</summary>
[Collection(AuditQueueTurns.Name)] // "make run" declares the queues
public sealed partial class ReadmeStepsTests(ITestOutputHelper printed) : IAsyncLifetime
{
    /// <summary>make stranger: a clone that nothing was built in, and servers that make run has to bring.</summary>
    private static readonly bool IsFresh = Environment.GetEnvironmentVariable("STRANGER") == "clone";

    private TestDatabase database = null!;
    private Checkout checkout = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(TestDatabase.NameFor(typeof(ReadmeStepsTests)));
        checkout = IsFresh ? await Checkout.CloneAsync() : await Checkout.CreateAsync(database);
    }

    public async Task DisposeAsync()
    {
        await checkout.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task Steps_work_as_they_are_written_and_in_their_order()
    {
        var before = await checkout.RunAsync("make cli ARGS='clients list'", isBeside: true);
        Assert.NotEqual(0, before.ExitCode);
        Assert.Contains("Nothing was set up in this checkout yet: make run first", before.Output, StringComparison.Ordinal);

        var banner = await checkout.StartAsync(("VERIFICATION_DEADLINE_HOURS", "0.0015"));
        var steps = await ReadStepsAsync();
        var commands = steps.SelectMany(step => Command().Matches(step).Select(match => match.Groups["line"].Value))
            .Where(line => line is not ("make run" or "make cli")).ToList(); // which are spoken of
        Assert.Equal(["make demo", "make webhook TYPE=user.deleted USER=bob"], commands.Take(2));
        Assert.Contains(commands, line => line.StartsWith("make cli ARGS='clients add", StringComparison.Ordinal));
        await SucceedAsync("make demo");
        await SignInAsync("bob", Url().Match(banner).Value);
        foreach (var line in commands.Skip(1))
        {
            await SucceedAsync(line);
        }

        // The demo's user is still there.
        Assert.Equal(0, await database.CountAsync("users", "clerk_user_id = 'alice' AND deleted_at IS NOT NULL"));
        Assert.Equal(1, await database.CountAsync("users", "clerk_user_id = 'bob' AND deleted_at IS NOT NULL"));
        Assert.Equal(1, await database.CountAsync("gpt_clients", "name = 'My GPT' AND NOT require_pkce"));
    }

    [Fact]
    public async Task Own_scopes_are_those_of_the_printed_url_of_the_demo_and_of_commands()
    {
        const string scopes = "notes:read=Read your notes;notes:write=Write notes";
        var banner = await checkout.StartAsync(("GPT_SCOPES", scopes), ("VERIFICATION_DEADLINE_HOURS", "0.0015"));
        Assert.Contains("&scope=notes%3Aread&", banner, StringComparison.Ordinal);

        Assert.Contains("scope=notes%3Aread%20notes%3Awrite", await SucceedAsync("make demo"), StringComparison.Ordinal);
        Assert.Contains("scopes notes:read notes:write", await SucceedAsync("make cli ARGS='clients list'"), StringComparison.Ordinal);
        Assert.Contains("The scope jobs:read does not exist", (await checkout.RunAsync(
            "make cli ARGS='clients add --name X --gpt g-x --scope jobs:read'", isBeside: true)).Output, StringComparison.Ordinal);
    }

    /// <summary>
    /// connect.md 8: the running program starts anew with what was written. A stranger's ten minutes: each command as it stands in the text, and then
    /// what it printed, pasted into a client and a host that we did not write.
    /// </summary>
    [Fact]
    public async Task Stranger_with_an_api_gets_to_an_action_and_a_tool_call_as_the_text_says()
    {
        await using var api = await LibraryApi.StartAsync();
        var readme = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "README.md"));
        var clock = Stopwatch.StartNew();
        await checkout.StartAsync(
            Line("make run", readme), IsFresh ? [] : [("VERIFICATION_DEADLINE_HOURS", "0.0015")]); // only make demo waits for an order's end
        Note("make run", clock);
        var line = Line("make connect", readme);
        Assert.Contains("UPSTREAM=http://127.0.0.1:5000", line, StringComparison.Ordinal);
        line = line.Replace("http://127.0.0.1:5000/openapi.json", api.Url + "/openapi.yaml", StringComparison.Ordinal)
            .Replace("http://127.0.0.1:5000", api.Url, StringComparison.Ordinal);

        var first = await SucceedAsync(line);
        Note("make connect", clock);
        Assert.Contains("make run has started anew", first, StringComparison.Ordinal);
        using var calls = JsonDocument.Parse(
            await ClientPackages.RunWithInputAsync(TimeSpan.FromMinutes(1), first, "stranger.mjs", "stranger", "searchBooks", """{"title":"Momo"}"""));
        Note("an action and a tool called", clock);
        var (action, tool) = (calls.RootElement.GetProperty("action"), calls.RootElement.GetProperty("tool"));
        Assert.Equal(200, action.GetProperty("status").GetInt32());
        Assert.All(
            [action, tool],
            call => Assert.Equal("Momo", call.GetProperty("answer").GetProperty("books")[0].GetProperty("title").GetString()));
        Assert.Equal(11, tool.GetProperty("tools").GetArrayLength());
        var heard = Assert.Single(api.Calls.Distinct(StringComparer.Ordinal)); // the same person, twice
        Assert.Matches("^GET /v1/books user=[0-9a-f-]{36} key= token=False$", heard);
        Assert.Equal(2, api.Calls.Count);
        Assert.True(clock.Elapsed < TimeSpan.FromMinutes(10), clock.Elapsed.ToString());
        if (IsFresh)
        {
            return;
        }

        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{checkout.Port}") };
        var document = await http.GetStringAsync(new Uri("/gpt/openapi.json", UriKind.Relative));
        Assert.Contains("\"/gpt/books/{isbn}\"", document, StringComparison.Ordinal);
        Assert.DoesNotContain("/gpt/jobs", document, StringComparison.Ordinal);
        Assert.Contains("scopes books:read", await SucceedAsync("make cli ARGS='clients list'"), StringComparison.Ordinal);
        Assert.Contains("books%3Aread", await SucceedAsync("make demo"), StringComparison.Ordinal);

        var again = await SucceedAsync(line);
        Assert.Contains("nothing changes", again, StringComparison.Ordinal);
        Assert.DoesNotContain("anew", again, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("many", "PORT is 'many': it takes a number from 1 to 65535")]
    [InlineData("08080", "it takes a number from 1 to 65535")]
    [InlineData("70000", "it takes a number from 1 to 65535")]
    [InlineData("6000", "PORT is 6000, which browsers refuse to open: choose another, for example PORT=6001 make run")]
    public async Task Port_that_cannot_be_is_refused_before_anything_is_built(string port, string sentence)
    {
        File.Delete(Path.Combine(checkout.Directory, ".local", "build-Release.stamp")); // so that it would be built
        var run = await checkout.RunAsync("make run", isBeside: false, ("PORT", port));
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(sentence, run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Building", run.Output, StringComparison.Ordinal);
    }

    /// <summary>How long it took until then, for who looks on; the file is what make stranger shows.</summary>
    private void Note(string what, Stopwatch clock)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds,6:0.0} s  {what}");
        printed.WriteLine(line);
        if (IsFresh)
        {
            File.AppendAllLines(Path.Combine(TestServices.RepositoryRoot, ".local", "stranger.txt"), [line]);
        }
    }

    private async Task<string> SucceedAsync(string line)
    {
        var run = await checkout.RunAsync(line, isBeside: true);
        Assert.True(run.ExitCode == 0, line + "\n" + run.Output);
        return run.Output;
    }

    /// <summary>What a person does in a browser.</summary>
    private async Task SignInAsync(string user, string url)
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = new Uri($"http://127.0.0.1:{checkout.Port}"),
        };
        var query = System.Web.HttpUtility.ParseQueryString(new Uri(url).Query);
        var client = new TestClient(query["client_id"]!, null, query["redirect_uri"]!);
        var end = await new OAuthFlow(http).ApproveAsync(client, user, ("scope", query["scope"]), ("state", query["state"]));
        using var shown = await http.GetAsync(end);
        Assert.Equal((client.RedirectUri, HttpStatusCode.OK), (end.GetLeftPart(UriPartial.Path), shown.StatusCode));
    }

    private static async Task<List<string>> ReadStepsAsync()
    {
        var text = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "README.md"));
        var begin = text.IndexOf("\n## Try it", StringComparison.Ordinal);
        return [.. Step().Matches(text[begin..text.IndexOf("\n## ", begin + 1, StringComparison.Ordinal)]).Select(match => match.Value)];
    }

    [GeneratedRegex(@"^\d+\. .*\n(   .*\n)*", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Step();

    /// <summary>Between backticks; a line may be broken.</summary>
    [GeneratedRegex(@"`(?<line>make [^`]*[^`\s])`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Command();

    /// <summary>The line of a fence that begins so, without its comment.</summary>
    private static string Line(string begin, string text) =>
        Fence().Matches(text).Select(match => match.Groups["line"].Value).First(line => line.StartsWith(begin, StringComparison.Ordinal));

    [GeneratedRegex("^(?<line>make .*?)( +#.*)?$", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fence();

    [GeneratedRegex(@"http://\S+/oauth/authorize\?\S+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Url();
}
