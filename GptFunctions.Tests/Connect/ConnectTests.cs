using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Mcp;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Connect;

/// <summary>connect.md 1 to 7 and 9: <c>GptFunctions connect</c>, by real processes, with a document that is not ours to tidy.</summary>
public sealed partial class ConnectTests : IAsyncLifetime
{
    private readonly string directory = Directory.CreateTempSubdirectory("gpt-connect-").FullName;
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;
    private LibraryApi api = null!;

    private string Api => Path.Combine(directory, "api");

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(TestDatabase.NameFor(typeof(ConnectTests)));
        settings = TestApp.DefaultSettings(database.Url, TestApp.FreePort());
        api = await LibraryApi.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await api.DisposeAsync();
        await database.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Document_becomes_actions_and_tools_of_a_running_program()
    {
        var connected = await ConnectAsync("--openapi", api.Url + "/openapi.yaml", "--header", "x-library-key: {secret:LIBRARY_KEY}");
        Assert.True(connected.ExitCode == 0, connected.Output + connected.Error);
        Assert.Contains($"upstream: {api.Url} answers (404)", connected.Output, StringComparison.Ordinal);
        Assert.Contains($"Schema, import from    {settings["PUBLIC_BASE_URL"]}/gpt/openapi.json", connected.Output, StringComparison.Ordinal);
        Assert.Contains($"as the server's URL: {settings["PUBLIC_BASE_URL"]}/gpt/mcp", connected.Output, StringComparison.Ordinal);

        await using var app = await AppProcess.StartAsync(settings.With(
        [
            new("GATEWAY_CONFIG", Path.Combine(Api, "gateway.json")), new("GPT_SCOPES", Scopes()), new("LIBRARY_KEY", "key-of-the-library"),
        ]));
        var secret = Secret().Match(connected.Output).Groups["secret"].Value;
        var client = new TestClient("city-library-gpt", secret, settings["PUBLIC_BASE_URL"] + "/dev/callback");
        var flow = new OAuthFlow(app.Http);
        var token = (await flow.TokensAsync(client, "user_reader", ("scope", "books:read loans:write")))["access_token"]!;

        using var action = await app.Http.CallAsync(token, "/gpt/loans/loan-1", HttpMethod.Delete);
        Assert.Equal((HttpStatusCode.OK, """{"given":"back"}"""), (action.StatusCode, await action.Content.ReadAsStringAsync()));
        var mcp = new McpTestClient(app.Http);
        var tools = await mcp.SendAsync(token, "tools/list");
        Assert.Equal(
            "searchBooks,get-book,getBooksByIsbnReviews,addReview,listLoans,borrowBook,return_book,searchLoans,usage,searchBooks2,get_profile",
            string.Join(',', tools.Result.GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("name").GetString())));
        var found = await mcp.CallAsync(token, "searchBooks", """{"title":"Momo"}""");
        Assert.Equal(
            "Momo", found.Result.GetProperty("structuredContent").GetProperty("books")[0].GetProperty("title").GetString());

        var user = await database.ScalarAsync<Guid>("SELECT id FROM users WHERE clerk_user_id = 'user_reader'");
        Assert.Equal(
            [
                $"DELETE /v1/loans/loan-1 user={user} key=key-of-the-library token=False",
                $"GET /v1/books user={user} key=key-of-the-library token=False",
            ],
            api.Calls);
    }

    [Fact]
    public async Task What_an_operation_does_not_say_follows_from_its_method_and_tag()
    {
        var planned = await ConnectAsync("--openapi", LibraryApi.Document, "--plan");

        Assert.Equal((0, ""), (planned.ExitCode, planned.Error));
        Assert.False(Directory.Exists(Api));
        var lines = planned.Output.Split('\n').Select(line => Spaces().Replace(line, " ")).ToList();
        Assert.Contains("+ searchBooks GET /books books:read read", lines);
        Assert.Contains("+ borrowBook POST /loans loans:write expensive, audited", lines);
        Assert.Contains("+ return_book DELETE /loans/{loan id} loans:write expensive, audited", lines);
        Assert.Contains("+ scope books:read Read books", lines);
        Assert.Contains("+ scope loans:write Create and delete loans", lines);
        Assert.Contains("+ scope books:write Create and change books", lines);
        Assert.Contains(lines, line => line.StartsWith("! left out: GET /lists/{name}.{format}: a path is made of", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("! no MCP tool: PUT /books/{isbn}/cover: its body is image/png", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("! The document says that the API wants a key in x-library-key.", StringComparison.Ordinal));
        Assert.Equal("(nothing was written: --plan)", lines[^2]);

        var chosen = await ConnectAsync("--openapi", LibraryApi.Document, "--plan", "--scopes", "access", "--tiers", "read", "--audit", "none");
        lines = [.. chosen.Output.Split('\n').Select(line => Spaces().Replace(line, " "))];
        Assert.Contains("+ borrowBook POST /loans city-library:write read", lines);
        Assert.Contains("+ scope city-library:write Create, change and delete data in City Library", lines);
    }

    [Fact]
    public async Task Second_run_changes_nothing_and_a_changed_document_keeps_what_people_edited()
    {
        Assert.Equal(0, (await ConnectAsync("--openapi", LibraryApi.Document)).ExitCode);
        var before = ReadAll();
        var again = await ConnectAsync("--openapi", LibraryApi.Document);
        Assert.Contains("is as it should be: nothing changes.", again.Output, StringComparison.Ordinal);
        Assert.Contains("client city-library-gpt is as it should be", again.Output, StringComparison.Ordinal);
        Assert.Equal(before, ReadAll());

        // Somebody edits: another tier, a comment, a sentence, and a route that is not wanted.
        var routes = Path.Combine(Api, "gateway.json");
        var text = await File.ReadAllTextAsync(routes);
        var tier = new Regex("(?<before>\"name\": \"searchBooks\",.*?)\"tier\": \"read\"", RegexOptions.Singleline, TimeSpan.FromSeconds(1));
        var unwanted = new Regex(@"    \{\s*""name"": ""addReview"".*?\},\n", RegexOptions.Singleline, TimeSpan.FromSeconds(1));
        text = unwanted.Replace(tier.Replace(text, "${before}// slow there\n      \"tier\": \"expensive\"", 1), "", 1);
        Assert.DoesNotContain("addReview", text, StringComparison.Ordinal);
        await File.WriteAllTextAsync(routes, text);
        var env = Path.Combine(Api, "settings.env");
        await File.WriteAllTextAsync(env, (await File.ReadAllTextAsync(env)).Replace("=Read books;", "=Leaf through our books;", StringComparison.Ordinal));

        // The API: an operation is gone, one is new, with a tag that is new, and it lives elsewhere.
        var document = (await File.ReadAllTextAsync(LibraryApi.Document))
            .Replace("  /usage:\n", "  /fines:\n", StringComparison.Ordinal)
            .Replace("operationId: usage", "operationId: listFines", StringComparison.Ordinal)
            .Replace("      tags: [Loans]\n      operationId: listFines", "      tags: [Fines]\n      operationId: listFines", StringComparison.Ordinal);
        var changed = Path.Combine(directory, "changed.yaml");
        await File.WriteAllTextAsync(changed, document);
        await using var elsewhere = await LibraryApi.StartAsync();
        var third = await ConnectAsync("--openapi", changed, "--upstream", elsewhere.Url, "--gpt", "g-library");

        Assert.True(third.ExitCode == 0, third.Output + third.Error);
        var lines = third.Output.Split('\n').Select(line => Spaces().Replace(line, " ")).ToList();
        Assert.Equal(
            [
                "+ listFines GET /fines fines:read read", "- usage GET /usage: no longer in the document",
                $"~ upstream of 9 routes: {elsewhere.Url}/v1", "+ scope fines:read Read fines", "~ openapi.yaml: its text", "~ client city-library-gpt",
            ],
            lines.TakeWhile(line => !line.StartsWith("In the GPT builder", StringComparison.Ordinal)).Where(line => line is ['+' or '-' or '~', ' ', ..]));
        Assert.Contains("! without a route, as before: POST /books/{isbn}/reviews, GET /lists/{name}.{format}.", lines);
        text = await File.ReadAllTextAsync(routes);
        Assert.Contains("// slow there\n      \"tier\": \"expensive\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("addReview", text, StringComparison.Ordinal);
        Assert.DoesNotContain(api.Url, text, StringComparison.Ordinal);
        Assert.Contains("books:read=Leaf through our books;", Scopes(), StringComparison.Ordinal);
        Assert.Equal(
            $"{settings["PUBLIC_BASE_URL"]}/dev/callback https://chatgpt.com/aip/g-library/oauth/callback "
                + "https://chat.openai.com/aip/g-library/oauth/callback",
            await database.ScalarAsync<string>("SELECT array_to_string(redirect_uris, ' ') FROM gpt_clients WHERE client_id = 'city-library-gpt'"));
        before = ReadAll();
        await ConnectAsync("--openapi", changed, "--upstream", elsewhere.Url, "--gpt", "g-library");
        Assert.Equal(before, ReadAll());
    }

    [Theory]
    [InlineData("swagger: '2.0'\npaths: {}", "is a Swagger 2.0 document: convert it to OpenAPI 3")]
    [InlineData("openapi: 3.1.0\npaths: {}", "has no operation that can be an action.")]
    [InlineData("openapi: 3.1.0\npaths:\n  /a@b:\n    get: {}", "left out: GET /a@b: a path is made of letters")]
    [InlineData(
        "openapi: 3.1.0\npaths:\n  /a:\n    get: { parameters: [{ $ref: 'other.yaml#/p' }] }", "refers to another file at #/paths/~1a/get/parameters/0")]
    [InlineData("openapi: 3.1.0\npaths: [", "line 3 is no YAML as it should be")]
    public async Task Document_that_cannot_be_connected_is_refused_with_its_place_and_nothing_is_written(string text, string sentence)
    {
        var file = Path.Combine(directory, "bad.yaml");
        await File.WriteAllTextAsync(file, text);

        var refused = await ConnectAsync("--openapi", file);

        Assert.Equal(1, refused.ExitCode);
        Assert.Contains(sentence, refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Api));
    }

    [Fact]
    public async Task Mistake_in_what_is_there_is_named_with_its_line_and_nothing_is_written()
    {
        Assert.Equal(0, (await ConnectAsync("--openapi", LibraryApi.Document)).ExitCode);
        var routes = Path.Combine(Api, "gateway.json");
        await File.WriteAllTextAsync(
            routes, (await File.ReadAllTextAsync(routes)).Replace("\"tier\": \"read\"", "\"tier\": \"slow\"", StringComparison.Ordinal));
        var before = ReadAll();

        var refused = await ConnectAsync("--openapi", LibraryApi.Document);

        Assert.Equal(1, refused.ExitCode);
        Assert.Matches("gateway.json line [0-9]+: tier must be read or expensive", refused.Error);
        Assert.Equal(before, ReadAll());
    }

    /// <summary>What no option says is asked for at a terminal, where Enter takes the default; what is not to be is said, and asked for again.</summary>
    [Fact]
    public async Task Terminal_is_asked_for_what_no_option_says()
    {
        var typed = await AtTerminalAsync("tags\naccess\n\nall\nlibrary\ng-library\n", "--openapi", LibraryApi.Document);

        Assert.Contains("tag        books:read books:write loans:read loans:write", typed, StringComparison.Ordinal);
        Assert.Contains("access     city-library:read city-library:write", typed, StringComparison.Ordinal);
        Assert.Contains("It is one of tag, access; Enter takes tag.", typed, StringComparison.Ordinal);
        Assert.Contains("'library' is not a GPT id", typed, StringComparison.Ordinal);
        var routes = await File.ReadAllTextAsync(Path.Combine(Api, "gateway.json"));
        Assert.Equal(11, routes.Split("\"audit\": true").Length - 1);
        Assert.Contains("\"tier\": \"expensive\"", routes, StringComparison.Ordinal);
        Assert.StartsWith("city-library:read=", Scopes(), StringComparison.Ordinal);
        Assert.Equal(3, await database.ScalarAsync<int>("SELECT cardinality(redirect_uris) FROM gpt_clients WHERE client_id = 'city-library-gpt'"));

        // Nothing is left to ask.
        Assert.DoesNotMatch(@"\[(tag|method|writes|none yet)\]", await AtTerminalAsync("", "--openapi", LibraryApi.Document));
        Directory.Delete(Api, recursive: true);

        var byEnter = await AtTerminalAsync("\n\n\n", "--openapi", LibraryApi.Document, "--plan");
        Assert.Contains("[method]", byEnter, StringComparison.Ordinal);
        Assert.Equal(Made((await ConnectAsync("--openapi", LibraryApi.Document, "--plan")).Output), Made(byEnter));

        // Begun anew with other scopes: the client loses those that are gone.
        Assert.Equal(0, (await ConnectAsync("--openapi", LibraryApi.Document)).ExitCode);
        Assert.Equal("books:read", await database.ScalarAsync<string>("SELECT scopes[1] FROM gpt_clients WHERE client_id = 'city-library-gpt'"));

        static List<string> Made(string text) => [.. text.Split('\n').Select(line => line.TrimEnd('\r')).Where(line => line.StartsWith('+'))];
    }

    /// <summary>As in a terminal, which `script` is to the program, with these keys typed.</summary>
    private async Task<string> AtTerminalAsync(string keys, params string[] options)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "GptFunctions.dll");
        string[] line = ["dotnet", program, "connect", "--directory", Api, "--upstream", api.Url, .. options];
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo("script", ["--quiet", "--return", "--command", string.Join(' ', line), "/dev/null"])
            {
                WorkingDirectory = directory,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            },
        };
        foreach (var (name, value) in settings)
        {
            process.StartInfo.Environment[name] = value;
        }

        process.Start();
        await process.StandardInput.WriteAsync(keys);
        await process.StandardInput.FlushAsync();
        var output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromMinutes(1));
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }

    private Task<(int ExitCode, string Output, string Error)> ConnectAsync(params string[] options) => AppProcess.RunInAsync(
        directory, settings,
        ["connect", "--directory", Api, .. options.Contains("--upstream") ? [] : (string[])["--upstream", api.Url], .. options]);

    private string ReadAll() => string.Join('\n', Directory.EnumerateFiles(Api).Order(StringComparer.Ordinal).Select(file => file + File.ReadAllText(file)));

    private string Scopes() => File.ReadAllLines(Path.Combine(Api, "settings.env")).Single(
        line => line.StartsWith("GPT_SCOPES=", StringComparison.Ordinal))["GPT_SCOPES=".Length..];

    [GeneratedRegex(@"Client Secret +(?<secret>\S+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Secret();

    [GeneratedRegex(" +", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();
}
