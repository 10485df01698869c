using System.Text;
using System.Text.RegularExpressions;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 9: routes are checked at the start, each mistake with its line.</summary>
public sealed class GatewayConfigTests
{
    private const string Good =
        """{ "name": "a", "methods": ["GET"], "path": "/gpt/a/{id}", "upstream": "http://api:3000", "scope": "jobs:read", "tier": "read" }""";

    [Fact]
    public void Sample_has_the_seeds_actions_and_no_problem()
    {
        var config = GatewayConfig.Load(Path.Combine(TestServices.RepositoryRoot, "infra", "config", "gateway.json"));

        Assert.Empty(config.Problems);
        Assert.Equal(
            [
                "searchJobs GET /gpt/jobs/search jobs:read read", "getJobDetails GET /gpt/jobs/{id} jobs:read read",
                "getApplications GET /gpt/applications applications:read read",
                "submitApplication POST /gpt/applications/submit applications:write expensive", "analyzeResume POST /gpt/resume/analyze resume:read expensive",
                "partnerMcp GET,POST,DELETE /gpt/partner/mcp jobs:read read",
            ],
            config.Routes.Select(route => $"{route.Name} {string.Join(',', route.Methods)} {route.Path.Text} {route.Scope} {route.Tier}"));
        Assert.Equal([100_000, 100_000, 100_000, 100_000, 100_000, null], config.Routes.Select(route => route.MaximumCharacters));
    }

    [Theory]
    [InlineData("""{ "free": { "applications": 5 }, "pro": { "applications": -1, "exports": 0 } }""", "\"free\"", null)]
    [InlineData("""{ "free": { "applications": -2 } }""", "null",
        "gateway.json line 3: free.applications must be a whole number, or -1 for no limit, not -2.")]
    [InlineData("""{ "free": { "applications": 1.5 } }""", "null", "gateway.json line 3: free.applications must be *, not 1.5.")]
    [InlineData("""{ "free": { "applications": "5" } }""", "null", "gateway.json line 3: free.applications must be *, not \"5\".")]
    [InlineData("""{ "free": { "a b": 5 } }""", "null", "gateway.json line 3: the quota 'a b' must be 1 to 64 letters, *")]
    [InlineData("""{ "free": 5 }""", "null", "gateway.json line 3: the plan 'free' must have a name and be an object such as { \"applications\": 5 }.")]
    [InlineData("""{ "free": { } }""", "\"pro\"", "gateway.json line 4: defaultPlan: there is no plan 'pro'; there are free.")]
    [InlineData("[]", "null", "gateway.json line 3: 'plans' is not known here; *")]
    [InlineData("{}", "5", "gateway.json line 4: 'defaultPlan' is not known here; *")]
    public void Plans_are_amounts_by_quota(string plans, string defaultPlan, string? problem)
    {
        var json = $$"""
            { "routes": [
              {{Good}}],
              "plans": {{plans}},
              "defaultPlan": {{defaultPlan}} }
            """;

        var config = GatewayConfig.Parse(Encoding.UTF8.GetBytes(json), "gateway.json", "/");

        Assert.Equal(problem is null, config.Problems.Count == 0);
        if (problem is not null)
        {
            Assert.Matches("^" + Regex.Escape(problem).Replace("\\*", ".*", StringComparison.Ordinal) + "$", Assert.Single(config.Problems));
        }
        else
        {
            Assert.Equal((5, -1, "free"), (config.Plans.Plans["free"]["applications"], config.Plans.Plans["pro"]["applications"], config.Plans.Default));
        }
    }

    [Fact]
    public void Defaults_are_those_of_the_design()
    {
        var route = Assert.Single(Parse(Good).Routes);

        Assert.Equal(
            (TimeSpan.FromSeconds(45), 100_000, false, false, null),
            (route.Timeout, route.MaximumCharacters, route.AllowsClerkSession, route.IsConsequential, route.EventType));
        Assert.Equal("api:3000", route.Audience);
        // Always host and port.
        Assert.Equal("api:443", Assert.Single(Parse(Good.Replace("http://api:3000", "https://api/base", StringComparison.Ordinal)).Routes).Audience);
        Assert.Equal("http://api:3000/gpt/a/7?x=1", route.Target(["7"], "?x=1").AbsoluteUri);
    }

    [Theory]
    [InlineData("\"tier\": \"read\"", "\"tier\": \"fast\"", "gateway.json line 3: tier must be read or expensive, not \"fast\".")]
    [InlineData("\"name\": \"a\", ", "", "gateway.json line 3: this route lacks 'name'.")]
    [InlineData(
        "\"name\": \"a\"", "\"name\": \"1a\"",
        "gateway.json line 3: name must be 1 to 64 letters, digits, '_' or '-', beginning with a letter, not \"1a\".")]
    [InlineData("\"tier\"", "\"audits\": true, \"tier\"", "gateway.json line 3: a route has no 'audits'; *")]
    [InlineData("[\"GET\"]", "[]", "gateway.json line 3: methods must be a list of some of GET, *")]
    [InlineData("[\"GET\"]", "[\"get\"]", "gateway.json line 3: methods must be *")]
    [InlineData("[\"GET\"]", "\"GET\"", "gateway.json line 3: methods must be *")]
    [InlineData("[\"GET\"]", "[\"GET\", \"GET\"]", "gateway.json line 3: methods must be *")]
    [InlineData("/gpt/a/{id}", "/api/a", "gateway.json line 3: path must be a path below /gpt/ *")]
    [InlineData("/gpt/a/{id}", "/gpt/a//b", "gateway.json line 3: path must be *")]
    [InlineData("/gpt/a/{id}", "/gpt/../a", "gateway.json line 3: path must be *")]
    [InlineData("/gpt/a/{id}", "/gpt/{id}/{id}", "gateway.json line 3: path must be *")]
    [InlineData("/gpt/a/{id}", "/gpt/a{id}", "gateway.json line 3: path must be *")]
    [InlineData("/gpt/a/{id}", "/gpt/openapi.json", "gateway.json line 3: path must be *")]
    [InlineData("http://api:3000", "api:3000", "gateway.json line 3: upstream must be an http:// or https:// URL *")]
    [InlineData("http://api:3000", "http://user@api:3000", "gateway.json line 3: upstream must be *")]
    [InlineData("http://api:3000", "http://api:3000?a=b", "gateway.json line 3: upstream must be *")]
    [InlineData("http://api:3000", "file:///etc/passwd", "gateway.json line 3: upstream must be *")]
    [InlineData("\"tier\"", "\"upstreamPath\": \"/x/{other}\", \"tier\"", "gateway.json line 3: upstreamPath has the parameter {other}, which path has not.")]
    [InlineData("\"tier\"", "\"timeoutSeconds\": 0, \"tier\"", "gateway.json line 3: timeoutSeconds must be a whole number from 1 to 600, not 0.")]
    [InlineData("\"tier\"", "\"maxResponseCharacters\": -1, \"tier\"", "gateway.json line 3: maxResponseCharacters must be *")]
    [InlineData("\"tier\"", "\"audit\": \"yes\", \"tier\"", "gateway.json line 3: audit must be true or false, not \"yes\".")]
    [InlineData(
        "\"tier\"", "\"passHeaders\": \"x-tenant\", \"tier\"",
        "gateway.json line 3: passHeaders must be a list of header names such as [\"x-tenant\"].")]
    [InlineData("\"tier\"", "\"passHeaders\": [\"x-tenant\", \"Cookie\"], \"tier\"", "gateway.json line 3: passHeaders: 'Cookie' is never passed on; *")]
    [InlineData("\"tier\"", "\"passHeaders\": [\"X-User-Id\"], \"tier\"", "gateway.json line 3: passHeaders: 'X-User-Id' is never passed on; *")]
    [InlineData("\"tier\"", "\"mcpServer\": 1, \"tier\"", "gateway.json line 3: mcpServer must be true or false, not 1.")]
    [InlineData("\"tier\"", "\"mcpServer\": true, \"tier\"", "gateway.json line 3: mcpServer: the path of an MCP server has no parameters, *")]
    [InlineData("jobs:read", "jobs read", "gateway.json line 3: scope must be the name of one scope, not \"jobs read\".")]
    [InlineData(
        "\"name\": \"a\"", "\"name\": \"a\", \"name\": \"b\"",
        "gateway.json line 3: this is not JSON as it should be: 'name' stands twice in one object.*")]
    [InlineData("\"tier\": \"read\"", "\"tier\": read", "gateway.json line 3: this is not JSON as it should be: *")]
    public void Mistake_is_named_with_its_line(string right, string wrong, string expected)
    {
        var problem = Assert.Single(Parse(Good.Replace(right, wrong, StringComparison.Ordinal)).Problems);

        Assert.Matches($"^{Regex.Escape(expected).Replace("\\*", ".*", StringComparison.Ordinal)}$", problem);
    }

    [Fact]
    public void Mistake_in_a_route_of_several_lines_is_named_with_the_line_of_the_member()
    {
        var config = Parse(Good.Replace(", \"", ",\n// a comment\n\"", StringComparison.Ordinal).Replace("\"read\"", "\"fast\"", StringComparison.Ordinal)
            .Replace("\"name\"", "\"label\"", StringComparison.Ordinal));

        Assert.Equal([3, 3, 13], config.Problems.Select(problem => int.Parse(problem.Split(' ', ':')[2], System.Globalization.CultureInfo.InvariantCulture)));
        Assert.Equal("gateway.json line 13: tier must be read or expensive, not \"fast\".", config.Problems[^1]);
    }

    [Fact]
    public void Two_routes_of_one_name_or_one_path_are_a_mistake_and_several_mistakes_are_all_told()
    {
        var config = Parse(
            $"{Good},\n{Good.Replace("{id}", "{key}", StringComparison.Ordinal)},\n"
                + $"{Good.Replace("\"a\"", "\"c\"", StringComparison.Ordinal).Replace("\"GET\"", "\"POST\"", StringComparison.Ordinal)},\n[]");

        Assert.Equal("gateway.json line 6: this is not JSON as it should be: an object, { ... }, is expected.", Assert.Single(config.Problems));
        config = Parse($"{Good},\n{Good.Replace("{id}", "{key}", StringComparison.Ordinal)}");
        Assert.Equal(
            ["gateway.json line 4: there is a route a in line 3 already.", "gateway.json line 4: a answers the same method and path as a in line 3."],
            config.Problems);
    }

    [Fact]
    public async Task Start_with_mistakes_in_the_file_stops_with_all_of_them()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "routes.json");
        await File.WriteAllTextAsync(path, Text(Good.Replace("\"read\"", "\"fast\"", StringComparison.Ordinal)));

        var (exitCode, _, error) = await StartAsync(path);

        Assert.Equal(78, exitCode);
        Assert.Contains(" - routes.json line 3: tier must be read or expensive, not \"fast\".", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("jobs:delete", "Gateway route a (line 3): the scope jobs:delete is not in GPT_SCOPES.")]
    [InlineData(null, "GATEWAY_CONFIG names a file that cannot be read: ")]
    public async Task Start_with_an_impossible_configuration_stops_with_a_sentence(string? scope, string expected)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "routes.json");
        if (scope is not null)
        {
            await File.WriteAllTextAsync(path, Text(Good.Replace("jobs:read", scope, StringComparison.Ordinal)));
        }

        var (exitCode, _, error) = await StartAsync(path);

        Assert.Equal(78, exitCode);
        Assert.Contains(" - " + expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/gpt/jobs/{id}", "/gpt/jobs/1", "1")]
    [InlineData("/gpt/{a}/x/{b}", "/gpt/1/x/2", "1,2")]
    [InlineData("/gpt/jobs", "/gpt/jobs", "")]
    [InlineData("/gpt/jobs", "/gpt/job", null)]
    [InlineData("/gpt/jobs", "/gpt/jobs2", null)]
    [InlineData("/gpt/jobs", "/gpt/jobs/", null)]
    [InlineData("/gpt/jobs/{id}", "/gpt/jobs", null)]
    [InlineData("/gpt/jobs/{id}", "/gpt/jobs/", null)]
    [InlineData("/gpt/jobs/{id}", "/gpt/jobs/1/2", null)]
    [InlineData("/gpt/jobs/{id}", "/gpt/jobs/..", null)]
    [InlineData("/gpt/jobs/{id}", "", null)]
    [InlineData("/", "/", null)]
    public void Match_takes_whole_segments(string template, string path, string? expected) =>
        Assert.Equal(expected, PathTemplate.Parse(template)!.Match(path) is { } values ? string.Join(',', values) : null);

    private static GatewayConfig Parse(string routes) => GatewayConfig.Parse(Encoding.UTF8.GetBytes(Text(routes)), "gateway.json", Path.GetTempPath());

    private static string Text(string routes) => $$"""
        {
          "routes": [ // a comment
            {{routes}},
          ],
        }
        """.Replace("            ", "", StringComparison.Ordinal);

    private static Task<(int ExitCode, string Output, string Error)> StartAsync(string config)
    {
        var settings = TestApp.DefaultSettings("postgresql://nobody@127.0.0.1:1/none", TestApp.FreePort());
        settings["GATEWAY_CONFIG"] = config;
        return AppProcess.RunAsync(settings);
    }
}
