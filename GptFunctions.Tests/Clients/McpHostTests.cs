using System.Net;
using System.Text.Json;
using System.Web;
using GptFunctions.Tests.Support;
using ModelContextProtocol.Authentication;
using ModelContextProtocol.Client;

namespace GptFunctions.Tests.Clients;

/// <summary>mcp.md 15: hosts that we did not write connect to the built-in MCP server by its URL alone, against the program in a process of its own.</summary>
public sealed class McpHostTests(McpHostProcess fixture) : IClassFixture<McpHostProcess>
{
    private static readonly string[] Tools = ["searchJobs", "getJobDetails", "getApplications", "submitApplication", "analyzeResume", "get_profile"];
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Version 1 does not step up: while it holds a refresh token it refreshes instead of asking again.</summary>
    [Theory]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task TypeScript_sdk_connects_lists_calls_steps_up_refreshes_and_sees_the_end(string version)
    {
        var result = JsonElement.Parse(await ClientPackages.RunAsync(Patience, "mcp-host.mjs", version, fixture.BaseUrl, $"user_host_{version}"));

        Assert.Equal("UnauthorizedError", result.GetProperty("refusal").GetString());
        Assert.Equal(Tools, Texts(result.GetProperty("tools")));
        Assert.Equal(
            ("Baker", "The argument query is missing.", "jobs:read applications:read"),
            (result.GetProperty("found").GetString(), result.GetProperty("wrong").GetString(), result.GetProperty("scope").GetString()));
        if (version == "v2")
        {
            Assert.StartsWith(
                "jobs:read applications:read applications:write", result.GetProperty("asked")[1].GetString(), StringComparison.Ordinal);
            Assert.Equal("sent", result.GetProperty("sent").GetProperty("status").GetString());
        }

        Assert.Equal(
            (20, true), (
                result.GetProperty("parallel").GetProperty("answered").GetInt32(), result.GetProperty("parallel").GetProperty("refreshed").GetBoolean()));
        Assert.Equal(
            ("UnauthorizedError", true),
            (result.GetProperty("revoked").GetProperty("failure").GetString(), result.GetProperty("revoked").GetProperty("asksAgain").GetBoolean()));
    }

    [Fact]
    public async Task CSharp_sdk_connects_lists_calls_steps_up_refreshes_and_signs_in_again_after_the_end()
    {
        var asked = new List<string>();
        using var spoiler = new Spoiler();
        using var http = new HttpClient(spoiler);
        await using var transport = new HttpClientTransport(new HttpClientTransportOptions
        {
            Endpoint = new Uri(fixture.BaseUrl + "/gpt/mcp"),
            TransportMode = HttpTransportMode.StreamableHttp,
            OAuth = new ClientOAuthOptions
            {
                RedirectUri = new Uri("http://127.0.0.1:3999/callback"),
                DynamicClientRegistration = new DynamicClientRegistrationOptions { ClientName = "C# host" },
                AuthorizationCallbackHandler = async (context, _) =>
                {
                    asked.Add(HttpUtility.ParseQueryString(context.AuthorizationUri.Query)["scope"]!);
                    var answer = await ClientPackages.RunAsync(
                        Patience, "mcp-approve.mjs", context.AuthorizationUri.AbsoluteUri, "user_host_csharp", "http://127.0.0.1:3999/callback");
                    var query = HttpUtility.ParseQueryString(new Uri(answer.Trim()).Query);
                    return new AuthorizationResult { Code = query["code"], State = query["state"], Iss = query["iss"] };
                },
            },
        }, http);
        await using var client = await McpClient.CreateAsync(transport);

        var tools = await client.ListToolsAsync();
        var found = await client.CallToolAsync("searchJobs", new Dictionary<string, object?> { ["query"] = "baker" });
        var sent = await client.CallToolAsync("submitApplication", new Dictionary<string, object?> { ["jobId"] = "job-2" });

        Assert.Equal(Tools, tools.Select(tool => tool.Name));
        Assert.Equal("Baker", found.StructuredContent!.Value.GetProperty("result")[0].GetProperty("title").GetString());
        Assert.Equal("sent", sent.StructuredContent!.Value.GetProperty("result").GetProperty("status").GetString());
        Assert.Equal(2, asked.Count);
        Assert.Contains("applications:write", asked[1], StringComparison.Ordinal);

        spoiler.Spoil();
        var calls = await Task.WhenAll(Enumerable.Range(0, 20).Select(
            _ => client.CallToolAsync("getJobDetails", new Dictionary<string, object?> { ["id"] = "job-2" }).AsTask()));
        Assert.All(calls, call => Assert.NotEqual(true, call.IsError));
        Assert.NotEqual(spoiler.Spoiled, spoiler.Token); // refreshed,
        Assert.Equal(2, asked.Count); // and nobody was asked

        using var end = new HttpRequestMessage(HttpMethod.Delete, new Uri(fixture.BaseUrl + "/oauth/sessions"));
        end.Headers.Authorization = new("Bearer", spoiler.Token);
        using var ended = await http.SendAsync(end);
        Assert.True(ended.IsSuccessStatusCode);
        using var aside = new HttpClient { BaseAddress = new Uri(fixture.BaseUrl) };
        await Wait.UntilAsync(async () => // within a second everywhere
            (await aside.CallAsync(spoiler.Token, "/gpt/mcp", HttpMethod.Post, new StringContent("{}"))).StatusCode == HttpStatusCode.Unauthorized);
        var again = await client.CallToolAsync("getJobDetails", new Dictionary<string, object?> { ["id"] = "job-2" });
        Assert.NotEqual(true, again.IsError);
        Assert.Equal(3, asked.Count);
    }

    /// <summary>Replaces a token, wherever it is sent, by one that is no good.</summary>
    private sealed class Spoiler() : DelegatingHandler(new SocketsHttpHandler())
    {
        /// <summary>The one that is no good any more.</summary>
        public string? Spoiled { get; private set; }

        /// <summary>The last good one.</summary>
        public string? Token { get; private set; }

        public void Spoil() => Spoiled = Token;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Headers.Authorization is not { Scheme: "Bearer" } given)
            {
                return await base.SendAsync(request, cancellationToken);
            }

            Token = given.Parameter;
            request.Headers.Authorization = given.Parameter == Spoiled ? new("Bearer", "expired") : given;
            var response = await base.SendAsync(request, cancellationToken);
            request.Headers.Authorization = given; // by which the client knows the token that was refused
            return response;
        }
    }

    /// <summary>
    /// The scenarios of the MCP conformance kit that are for servers of tools and for authorization, newest release and the one before. What fails asks
    /// for tools of the kit's own that need sampling, elicitation or logging, which this server has not.
    /// </summary>
    [Theory]
    [InlineData("@modelcontextprotocol/conformance", "tools-list@2026-07-28 http-header-validation@2026-07-28 dns-rebinding-protection@2026-07-28 "
        + "server-initialize@2025-11-25 ping@2025-11-25 tools-list@2025-11-25 authorization-server-metadata-endpoint authorization-code-grant", "")]
    [InlineData("@modelcontextprotocol/conformance", "server-stateless@2026-07-28",
        "sep-2575-server-rejects-undeclared-capability sep-2575-missing-capability-http-400 sep-2575-http-server-no-independent-requests-on-stream "
            + "sep-2575-server-no-log-without-loglevel")]
    [InlineData("mcp-conformance-previous", "server-initialize ping tools-list dns-rebinding-protection logging-set-level", "")]
    public async Task Conformance_kit_finds_nothing_that_is_not_explained(string kit, string scenarios, string explained)
    {
        ArgumentNullException.ThrowIfNull(scenarios);
        ArgumentNullException.ThrowIfNull(explained);

        var text = await ClientPackages.RunAsync(Patience, "mcp-conformance.mjs", [fixture.BaseUrl, kit, .. scenarios.Split(' ')]);

        var results = JsonElement.Parse(text).EnumerateObject().ToList();
        Assert.Equal(scenarios.Split(' '), results.Select(result => result.Name));
        Assert.All(results, result => Assert.True(result.Value.GetProperty("passed").GetInt32() > 0, text));
        Assert.Equal(
            explained.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal),
            results.SelectMany(result => Texts(result.Value.GetProperty("failed"))).Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string?> Texts(JsonElement list) => list.EnumerateArray().Select(one => one.GetString());
}

/// <summary>The program with the sample's routes, in front of its own demo upstream, under the address that it calls itself.</summary>
public sealed class McpHostProcess : IAsyncLifetime
{
    private TestDatabase database = null!;
    private AppProcess app = null!;

    internal string BaseUrl => app.Http.BaseAddress!.GetLeftPart(UriPartial.Authority);

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(McpHostTests));
        var settings = TestApp.DefaultSettings(database.Url, 0);
        settings["PUBLIC_BASE_URL"] = null; // in Development: http on the port that it listens on
        app = await AppProcess.StartAsync(settings, TestServices.RepositoryRoot); // where it finds the sample
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await database.DisposeAsync();
    }
}
