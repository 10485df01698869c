using System.CommandLine;
using System.Globalization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Connect;

/// <summary><c>GptFunctions connect</c>: from the OpenAPI document of somebody's API to routes, scopes and a client.</summary>
internal static class ConnectCommand
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    public static Command Create()
    {
        var openApi = Needed("--openapi", "The OpenAPI document of your API (3.0 or 3.1, JSON or YAML): a file or a URL.");
        var upstream = Needed("--upstream", "Where your API answers, for example http://127.0.0.1:5000.");
        var directory = Given("--directory", "Where gateway.json, the document and settings.env go, or are.", "infra/config/api");
        var scopes = new Option<string?>("--scopes")
        {
            Description = "Scopes of new routes: by tag (books:read, books:write), or by access only (library:read, library:write); by tag where every "
                + "operation "
                + "has one of two to eight.",
        }.AcceptOnlyFromAmong("tag", "access");
        var tiers = Given("--tiers", "Limits of new routes: by method (GET reads, the rest is expensive), or one for all.", "method", "read", "expensive");
        var audit = Given("--audit", "New routes whose calls stand in the audit trail.", "writes", "all", "none");
        var header = new Option<string[]>("--header")
        {
            Description = "What your API gets with each call of a new route: 'x-api-key: {secret:API_KEY}', where {secret:NAME} is read from the environment.",
            DefaultValueFactory = _ => [],
        };
        var gpt = new Option<string[]>("--gpt")
        {
            Description = "The id of a Custom GPT (g-...), known once it was saved: its callback URLs are registered.", DefaultValueFactory = _ => [],
        };
        var client = new Option<string?>("--client") { Description = "The client's id; made of the document's title when left out." };
        var plan = new Option<bool>("--plan") { Description = "Say what would change, and change nothing." };
        upstream.Validators.Add(result => Refuse(
            result, ProblemWithUpstream(
                result.GetValueOrDefault<string?>()), "--upstream must be an http:// or https:// URL without user, query and fragment."));
        header.Validators.Add(result => Refuse(
            result, result.GetValueOrDefault<string[]>()?.Any(one => one.IndexOf(':', StringComparison.Ordinal) < 1) == true,
            "--header must be a name and a value, such as 'x-api-key: {secret:API_KEY}'."));
        var command = new Command("connect", "Connect an API: write its routes, scopes and client from its OpenAPI document. What you edited stays.")
        {
            openApi, upstream, directory, scopes, tiers, audit, header, gpt, client, plan,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var (document, problem) = await ApiDocument.LoadAsync(parsed.GetRequiredValue(openApi), cancellationToken);
            if (document is null)
            {
                return await Commands.FailAsync(problem!);
            }

            var request = new ConnectRequest(
                parsed.GetRequiredValue(openApi), parsed.GetRequiredValue(upstream), parsed.GetRequiredValue(directory),
                new RouteDefaults(parsed.GetValue(scopes), parsed.GetRequiredValue(tiers), parsed.GetRequiredValue(audit)),
                [.. parsed.GetRequiredValue(header).Select(one => one.Split(':', 2, StringSplitOptions.TrimEntries)).Select(
                    parts => KeyValuePair.Create(parts[0], parts[1]))]);
            var (made, problems) = ConnectPlan.Make(request, document);
            if (made is null)
            {
                return await Commands.FailAsync(string.Join('\n', problems));
            }

            Say(made, request);
            if (parsed.GetValue(plan))
            {
                Console.WriteLine("(nothing was written: --plan)");
                return 0;
            }

            Write(made, request.Directory);
            Console.WriteLine(await AskAsync(request.Upstream, cancellationToken));
            // The commands' services read the settings as the functions will.
            Environment.SetEnvironmentVariable("GATEWAY_CONFIG", Path.GetFullPath(Path.Combine(request.Directory, ConnectPlan.RoutesFile)));
            Environment.SetEnvironmentVariable("GPT_SCOPES", made.Scopes);
            return await Commands.WithServicesAsync(parsed, services => ActivatorUtilities.CreateInstance<ConnectClient>(services).RunAsync(
                parsed.GetValue(client) ?? RouteMaker.Slug(document.Title) + "-gpt", parsed.GetRequiredValue(gpt), made));
        });
        return command;
    }

    private static void Say(ConnectPlan plan, ConnectRequest request)
    {
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{plan.Document.Title}: {plan.Document.Operations.All.Count()} operations in {request.Source}"));
        Console.WriteLine(plan.Changes.Count == 0 ? $"{request.Directory} is as it should be: nothing changes." : string.Join('\n', plan.Changes));
        foreach (var note in plan.Notes)
        {
            Console.WriteLine("! " + note);
        }
    }

    /// <summary>Whole files are moved into place, the routes last, and those that are as they should be are left alone.</summary>
    private static void Write(ConnectPlan plan, string directory)
    {
        Directory.CreateDirectory(directory);
        foreach (var (name, text) in plan.Files.OrderBy(file => file.Key == ConnectPlan.RoutesFile))
        {
            var path = Path.Combine(directory, name);
            if (!File.Exists(path) || File.ReadAllText(path) != text)
            {
                File.WriteAllText(path + ".new", text);
                File.Move(path + ".new", path, overwrite: true);
                Console.WriteLine("written: " + path);
            }
        }
    }

    /// <summary>Any answer is one: which path there is harmless, nobody knows, so it is the address alone.</summary>
    private static async Task<string> AskAsync(string upstream, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = Limit };
        try
        {
            using var response = await http.GetAsync(new Uri(upstream), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return string.Create(CultureInfo.InvariantCulture, $"upstream: {upstream} answers ({(int)response.StatusCode})");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return $"! upstream: {upstream} does not answer ({error.Message.TrimEnd('.')}): start it before an action is called.";
        }
    }

    private static Option<string> Needed(string name, string description) => new(name) { Description = description, Required = true };

    /// <param name="values">The default, and what else it may be; alone: anything.</param>
    private static Option<string> Given(string name, string description, params string[] values)
    {
        var option = new Option<string>(name) { Description = description, DefaultValueFactory = _ => values[0] };
        return values.Length == 1 ? option : option.AcceptOnlyFromAmong(values);
    }

    private static void Refuse(System.CommandLine.Parsing.OptionResult result, bool isWrong, string sentence)
    {
        if (isWrong)
        {
            result.AddError(sentence);
        }
    }

    private static bool ProblemWithUpstream(string? text) =>
        !Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https")
        || url.UserInfo.Length + url.Query.Length + url.Fragment.Length > 0;
}
