using System.Net;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

/// <summary>
/// Runs the functions without the Azure Functions host: for development, tests, CI and a first look. HTTP on Kestrel,
/// timers in a cron loop, RabbitMQ in a consumer, all in one process and on the loopback interface only. It mirrors the
/// Functions host wherever a program could tell the difference.
/// </summary>
internal static class StandaloneHost
{
    private const int DefaultPort = 7071;

    /// <param name="addFeatures">Registers the features.</param>
    /// <param name="assemblies">Where the functions are; this program by default.</param>
    public static WebApplication Build(Action<IHostApplicationBuilder> addFeatures, params Assembly[] assemblies)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        addFeatures(builder);
        AddConsole(builder);
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Listen(IPAddress.Loopback, builder.Configuration.GetValue("PORT", DefaultPort));
        });
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<MatcherPolicy, ListedMethodsPolicy>());

        var functions = FunctionCatalog.Find(assemblies.Length > 0 ? assemblies : [typeof(StandaloneHost).Assembly], builder.Configuration);
        TimerFunctions.Add(builder, functions);
        RabbitMQFunctions.Add(builder, functions);

        var app = builder.Build();
        HttpFunctions.Map(app, functions);
        return app;
    }

    private static void AddConsole(WebApplicationBuilder builder)
    {
        if (builder.Environment.IsDevelopment())
        {
            builder.Logging.AddSimpleConsole(options =>
            {
                options.SingleLine = true;
                options.TimestampFormat = "HH:mm:ss.fff ";
            });
        }
        else
        {
            builder.Logging.AddJsonConsole(options => options.UseUtcTimestamp = true);
        }
    }
}
