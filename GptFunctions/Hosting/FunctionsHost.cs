using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Builder;
using Microsoft.Azure.Functions.Worker.Middleware;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Hosting;

/// <summary>The app as a worker of the Azure Functions host. Compiled with the real packages only (FunctionsWorker.targets).</summary>
internal static class FunctionsHost
{
    public static IHost Build(string[] args, Action<IHostApplicationBuilder> addFeatures)
    {
        var builder = FunctionsApplication.CreateBuilder(args);

        // In this order: the ASP.NET Core integration must wrap the middleware, or it sees no HttpContext.
        builder.ConfigureFunctionsWebApplication();
        builder.UseMiddleware<FunctionErrors>();

        addFeatures(builder);
        if (Traces.AreExported(builder.Configuration))
        {
            // The host leaves this process' logs to it, and spans of invocations are called "function NAME", as in the standalone host.
            builder.Services.Configure<WorkerOptions>(options =>
            {
                options.Capabilities["WorkerOpenTelemetryEnabled"] = bool.TrueString;
                options.Capabilities["WorkerOpenTelemetrySchemaVersion"] = "1.37.0";
            });
        }

        return builder.Build();
    }

    /// <summary>
    /// Functions run outside the ASP.NET Core pipeline, so an exception would reach the caller as an empty 500.
    /// Here it becomes the answer that the standalone host gives for it too.
    /// </summary>
    private sealed class FunctionErrors : IFunctionsWorkerMiddleware
    {
        public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
        {
            // Timers and messages have no HttpContext: the host must see them fail, or it would ack the message.
            if (context.GetHttpContext() is not { } http)
            {
                await next(context);
                return;
            }

            // A hang-up cancels the invocation, and ends the host's own connection to the worker; either comes first, and for the functions, which
            // know the latter only, both are one. With the former the request is over at once: then it must not be looked at any more.
            using var hungUp = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, context.CancellationToken);
            http.RequestAborted = hungUp.Token;
            using var scope = http.RequestServices.GetRequiredService<RequestLog>().BeginScope(http); // the pipeline's does not reach here
            try
            {
                await next(context);
                if (context.GetInvocationResult().Value is IResult result)
                {
                    await AnswerAsync(context, http, result);
                }
            }
            catch (Exception error) when (ErrorMapper.IsHangUp(Unwrap(error), hungUp.Token))
            {
                // Nobody reads an answer; thrown on, it would stand in the host's log as a failed invocation.
                context.GetInvocationResult().Value = Results.Empty;
            }
            catch (Exception error) when (!http.Response.HasStarted)
            {
                http.Response.Clear();
                await AnswerAsync(context, http, ErrorMapper.From(http).ToResult(http, Unwrap(error)));
            }
            catch
            {
                // Half an answer is out; the integration would end it properly, and the caller would take it for the whole.
                http.Abort();
                throw;
            }
        }

        /// <summary>
        /// Writes the answer here, where a failure to write is still caught, and leaves an empty result: the integration would
        /// execute this one again, and the worker would send it, tokens included, to the host as JSON.
        /// </summary>
        private static async Task AnswerAsync(FunctionContext context, HttpContext http, IResult result)
        {
            await result.ExecuteAsync(http);
            Traces.Described?.SetTag("http.response.status_code", http.Response.StatusCode).SetTag("gpt.correlation_id", http.CorrelationId());
            context.GetInvocationResult().Value = Results.Empty;
        }

        /// <summary>The worker's executor wraps what an asynchronous function throws.</summary>
        private static Exception Unwrap(Exception error) =>
            error is AggregateException { InnerExceptions: [var only] } ? only : error;
    }
}
