using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 1 and 2: by function name, first match wins, a method that is not listed is 404.</summary>
public sealed class RoutingTests(RoutingFixture fixture) : IClassFixture<RoutingFixture>
{
    private readonly HttpClient http = fixture.App.Http;

    [Theory]
    [InlineData("GET", "/test-routing/special", "A: special")] // TestRoutingB is more specific, but sorts later
    [InlineData("GET", "/TEST-routing/Other", "A: Other")]
    [InlineData("DELETE", "/test-routing/special", "B")] // A does not list DELETE, so the next match is tried
    [InlineData("GET", "/test-routing/one/two/three", "C: one/two/three")]
    [InlineData("GET", "/test-routing", "C: ")]
    [InlineData("PURGE", "/test-routing-any", "Any")]
    public async Task Request_goes_to_the_first_function_by_name_that_matches(string method, string path, string expected)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var answer = await http.SendAsync(request);
        Assert.Equal(expected, await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("PUT", "/test-routing/special")]
    [InlineData("POST", "/test-routing/one/two/three")]
    [InlineData("HEAD", "/test-routing/special")]
    [InlineData("GET", "/test-nowhere")]
    [InlineData("GET", "/api/test-routing/special")] // no prefix
    public async Task Request_with_an_unlisted_method_or_path_is_404(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var answer = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public void Programs_functions_never_shadow_each_other()
    {
        var functions = ProgramFunctions();
        Assert.True(functions.Count > 10);
        var shadowed = functions.SelectMany((later, index) => functions.Take(index)
            .Where(earlier => earlier.Methods.Overlaps(later.Methods) && Covers(earlier.Pattern, later.Pattern))
            .Select(earlier => $"{earlier.Name} is tried before {later.Name} and swallows it"));
        Assert.Empty(shadowed);
    }

    /// <summary>The real worker routes by itself once more, and answers two equal matches with 500.</summary>
    [Fact]
    public void Programs_functions_are_never_ambiguous()
    {
        var functions = ProgramFunctions();
        Assert.Empty(functions.SelectMany((one, index) => functions.Skip(index + 1)
            .Where(other => one.Methods.Overlaps(other.Methods) && Shape(one.Pattern) == Shape(other.Pattern))
            .Select(other => $"{one.Name} and {other.Name}")));
        Assert.Empty(
            functions.GroupBy(function => function.Name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1).Select(group => group.Key));
        // The host's own.
        Assert.DoesNotContain(
            functions,
            function => function.Pattern.RawText!.StartsWith("admin", StringComparison.OrdinalIgnoreCase)
                || function.Pattern.RawText.StartsWith("runtime", StringComparison.OrdinalIgnoreCase));
        Assert.All(functions, function => Assert.Equal(AuthorizationLevel.Anonymous, function.Level)); // no function keys to manage
    }

    [Theory]
    [InlineData("a/{x}", "a/b", true)]
    [InlineData("a/{x}", "a/b/c", false)]
    [InlineData("{*rest}", "a/b", true)]
    [InlineData("a/{*rest}", "a", true)]
    [InlineData("a/{*rest}", "a/{x}/c", true)]
    [InlineData("a/b", "a/{x}", false)]
    [InlineData("a/b", "A/B", true)]
    [InlineData("a/{x:int}", "a/b", false)]
    public void Covers_knows_which_pattern_swallows_another(string earlier, string later, bool expected) =>
        Assert.Equal(expected, Covers(RoutePatternFactory.Parse(earlier), RoutePatternFactory.Parse(later)));

    private static List<(string Name, RoutePattern Pattern, HashSet<string> Methods, AuthorizationLevel Level)> ProgramFunctions() =>
        [.. FunctionCatalog.Find([typeof(FunctionCatalog).Assembly], new ConfigurationBuilder().Build())
            .Where(function => function.Trigger is HttpTriggerAttribute)
            .Select(function => (function.Name, (HttpTriggerAttribute)function.Trigger))
            .Select(
                function => (
                    function.Name, RoutePatternFactory.Parse(function.Item2.Route ?? function.Name),
                    function.Item2.Methods!.ToHashSet(StringComparer.OrdinalIgnoreCase), function.Item2.AuthLevel))];

    /// <summary>Whether every path of the later pattern matches the earlier one.</summary>
    private static bool Covers(RoutePattern earlier, RoutePattern later)
    {
        for (var index = 0; index < earlier.PathSegments.Count; index++)
        {
            var part = earlier.PathSegments[index].Parts[0];
            if (part is RoutePatternParameterPart { IsCatchAll: true })
            {
                return true;
            }

            if (index >= later.PathSegments.Count || !CoversPart(part, later.PathSegments[index].Parts[0]))
            {
                return false;
            }
        }

        return earlier.PathSegments.Count == later.PathSegments.Count;
    }

    private static bool CoversPart(RoutePatternPart earlier, RoutePatternPart later) => earlier switch
    {
        RoutePatternLiteralPart literal => later is RoutePatternLiteralPart other
            && string.Equals(literal.Content, other.Content, StringComparison.OrdinalIgnoreCase),
        RoutePatternParameterPart parameter => parameter.ParameterPolicies.Count == 0 && later is not RoutePatternParameterPart { IsCatchAll: true },
        _ => false,
    };

    /// <summary>The pattern without the names of its parameters.</summary>
    private static string Shape(RoutePattern pattern) => string.Join('/', pattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part =>
        part is RoutePatternLiteralPart literal ? literal.Content.ToUpperInvariant()
            : part is RoutePatternParameterPart { IsCatchAll: true } ? "{*}"
            : "{}"))));
}

public sealed class RoutingFixture : TestFunctionsFixture
{
    protected override IReadOnlyList<string> Functions =>
        [
            nameof(RoutingTestFunctions.TestRoutingA), nameof(RoutingTestFunctions.TestRoutingB), nameof(RoutingTestFunctions.TestRoutingC),
            nameof(RoutingTestFunctions.TestRoutingAny),
        ];
}

public static class RoutingTestFunctions
{
    [Function(nameof(TestRoutingC))]
    public static IResult TestRoutingC([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-routing/{*rest}")] HttpRequest request, string? rest) =>
        Results.Text($"C: {rest}");

    [Function(nameof(TestRoutingB))]
    public static IResult TestRoutingB([HttpTrigger(AuthorizationLevel.Anonymous, "get", "delete", Route = "test-routing/special")] HttpRequest request) =>
        Results.Text("B");

    [Function(nameof(TestRoutingA))]
    public static IResult TestRoutingA([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-routing/{name}")] HttpRequest request, string name) =>
        Results.Text($"A: {name}");

    [Function(nameof(TestRoutingAny))]
    public static IResult TestRoutingAny([HttpTrigger(AuthorizationLevel.Anonymous, Route = "test-routing-any")] HttpRequest request) => Results.Text("Any");
}
