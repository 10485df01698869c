using GptFunctions.Development.Pages;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Operations;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>Development only: where somebody begins who has just started the program. What it shows is no secret: ids, templates, outcomes.</summary>
internal sealed class DevelopmentFrontPage(
    ClientService clients, GatewayRoutes routes, RecentRequests requests, IConfiguration configuration, IOptions<OAuthSettings> settings,
    IOptions<OperationsSettings> operations) : IFrontPage
{
    private const int ShownClients = 20;

    public async Task<IResult> ShowAsync(HttpContext context)
    {
        Language.Choose(context, Language.English); // for engineers
        var functions = FunctionCatalog.Find([typeof(FunctionCatalog).Assembly], configuration);
        return PageResults.Render<DevelopmentFrontPageView>(context, new()
        {
            [nameof(DevelopmentFrontPageView.AuthorizeUrl)] = UrlQuery.Add(
                "/oauth/authorize", ("response_type", "code"), ("client_id", settings.Value.ClientId), ("redirect_uri", settings.Value.RedirectUris[0]),
                ("state", "from-the-front-page")),
            [nameof(DevelopmentFrontPageView.WrongUrl)] = UrlQuery.Add(
                "/oauth/authorize", ("client_id", settings.Value.ClientId), ("redirect_uri", "https://elsewhere.example/")),
            [nameof(DevelopmentFrontPageView.Operator)] = operations.Value.Operators.FirstOrDefault(),
            [nameof(DevelopmentFrontPageView.Clients)] = (await clients.ListAsync()).OrderByDescending(client => client.LastUsedAt ?? client.CreatedAt)
                .Take(ShownClients).Select(client => new FrontLine(
                    client.Name, client.Id,
                    (client.DisabledAt is not null ? "disabled" : client.IsSelfRegistered ? "registered itself, checked by nobody" : client.Kind)
                        + (client.LastUsedAt is null ? ", never used" : ""))).ToList(),
            [nameof(DevelopmentFrontPageView.Actions)] = routes.All.Select(route => new FrontLine(
                route.Name, $"{string.Join(", ", route.Methods)} {route.Path.Text}", $"scope {route.Scope}, tier {route.Tier}")).ToList(),
            [nameof(DevelopmentFrontPageView.Routes)] = functions.Where(function => function.Trigger is HttpTriggerAttribute).Select(function =>
                $"{string.Join(", ", ((HttpTriggerAttribute)function.Trigger).Methods ?? ["any"]).ToUpperInvariant()} "
                    + $"/{((HttpTriggerAttribute)function.Trigger).Route}")
                .ToList(),
            [nameof(DevelopmentFrontPageView.Requests)] = requests.All.Select(request => new FrontLine(
                $"{request.Method} {request.Route ?? "(no route)"} {request.Action}".TrimEnd(), request.CorrelationId,
                string.Create(System.Globalization.CultureInfo.InvariantCulture,
                    $"{request.At:HH:mm:ss} UTC, {request.Status}, {request.Milliseconds:0.0} ms: {request.Outcome}"))).ToList(),
        });
    }
}
